import Foundation

/// What a figure of speed depends on: processor, memory, system, compiler, MPI, source.
package struct MachineDescription: Codable, Equatable, Sendable {
  /// The model name the processor gives, with family and model numbers, since virtual machines
  /// shorten the name.
  package var processor: String
  package var cores: Int
  /// Level and kind with size, such as `L1 Data: 32K`.
  package var caches: [String]
  package var memoryBytes: Int
  /// `always`, `madvise`, `never`, or empty when the system has no such setting.
  package var hugePages: String
  package var operatingSystem: String
  package var compiler: String
  package var mpi: String
  /// The commit of the source, with `+` when files differ from it.
  package var commit: String

  package init(
    processor: String, cores: Int, caches: [String], memoryBytes: Int, hugePages: String,
    operatingSystem: String, compiler: String, mpi: String, commit: String
  ) {
    self.processor = processor
    self.cores = cores
    self.caches = caches
    self.memoryBytes = memoryBytes
    self.hugePages = hugePages
    self.operatingSystem = operatingSystem
    self.compiler = compiler
    self.mpi = mpi
    self.commit = commit
  }

  /// One line per property, for the head of the printed report.
  package var lines: [(String, String)] {
    [
      ("processor", "\(processor), \(cores) cores"),
      ("caches", caches.joined(separator: ", ")),
      (
        "memory",
        "\(memoryBytes >> 30) GiB" + (hugePages.isEmpty ? "" : ", huge pages: \(hugePages)")
      ),
      ("system", operatingSystem), ("compiler", compiler), ("MPI", mpi), ("commit", commit),
    ]
  }
}

extension MachineDescription {
  /// Describes this machine.
  ///
  /// - Parameters:
  ///   - source: A directory of the working copy.
  ///   - firstLine: Runs a command and gives the first line of its output, `nil` if it fails.
  /// - Returns: The description; what cannot be found out is `unknown`.
  package static func current(
    source: String, firstLine: (_ command: [String]) -> String?
  ) -> MachineDescription {
    let hash = firstLine(["git", "-C", source, "rev-parse", "--short", "HEAD"])
    let changes = firstLine(["git", "-C", source, "status", "--porcelain", "-uno"]) ?? ""
    return MachineDescription(
      processor: ProcessorText.name(in: text("/proc/cpuinfo")) ?? "unknown",
      cores: ProcessInfo.processInfo.activeProcessorCount, caches: caches(),
      memoryBytes: Int(ProcessInfo.processInfo.physicalMemory),
      hugePages: ProcessorText.chosen(text("/sys/kernel/mm/transparent_hugepage/enabled")),
      operatingSystem: ProcessInfo.processInfo.operatingSystemVersionString
        + (firstLine(["uname", "-sr"]).map { ", \($0)" } ?? ""),
      compiler: firstLine(["swift", "--version"]) ?? "unknown",
      mpi: firstLine(["mpirun", "--version"]) ?? "unknown",
      commit: hash.map { changes.isEmpty ? $0 : "\($0)+" } ?? "unknown")
  }

  /// Bytes that could be had without swapping, or `nil` where the system does not say.
  package static var availableBytes: Int? {
    ProcessorText.kibibytes("MemAvailable", in: text("/proc/meminfo"))
  }

  /// The most memory this process ever had resident, or `nil` where the system does not say.
  package static var ownPeakBytes: Int? {
    ProcessorText.kibibytes("VmHWM", in: text("/proc/self/status"))
  }

  private static func caches() -> [String] {
    let root = "/sys/devices/system/cpu/cpu0/cache"
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    return entries.filter { $0.hasPrefix("index") }.sorted().map { entry in
      let path = "\(root)/\(entry)"
      return "L\(text("\(path)/level")) \(text("\(path)/type")): \(text("\(path)/size"))"
    }
  }

  private static func text(_ path: String) -> String {
    let bytes = FileManager.default.contents(atPath: path) ?? Data()
    return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

/// Reading what Linux writes about itself under `/proc` and `/sys`.
package enum ProcessorText {
  /// Model name with family and model of the first processor of `/proc/cpuinfo`.
  package static func name(in text: String) -> String? {
    func value(_ key: String) -> String? {
      text.split(separator: "\n").lazy.compactMap { line -> String? in
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == key else {
          return nil
        }
        return parts[1].trimmingCharacters(in: .whitespaces)
      }.first
    }
    guard let name = value("model name") else { return nil }
    guard let family = value("cpu family"), let model = value("model") else { return name }
    return "\(name) (family \(family), model \(model))"
  }

  /// Bytes of a line `key: 123 kB`.
  package static func kibibytes(_ key: String, in text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("\(key):") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      return words.count >= 2 ? Int(words[1]).map { $0 << 10 } : nil
    }
    return nil
  }

  /// The word in brackets of `always [madvise] never`.
  package static func chosen(_ text: String) -> String {
    guard let open = text.firstIndex(of: "["), let close = text.firstIndex(of: "]"), open < close
    else { return "" }
    return String(text[text.index(after: open)..<close])
  }
}
