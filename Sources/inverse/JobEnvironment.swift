import Fabric
import Foundation
import MPI
import Training

/// Describes the machines a job runs on.
enum JobEnvironment {
  private static let nameLength = 64

  /// The same description on every rank.
  ///
  /// - Throws: What the group throws.
  static func describe(
    _ group: any ProcessGroup, tables: String
  ) throws -> RunDirectory.Environment {
    return RunDirectory.Environment(
      version: ProgramVersion.current, ranks: group.size, hosts: try hosts(group),
      processor: processor(), mpi: group is SoloGroup ? "none" : libraryVersion(), tables: tables,
      command: CommandLine.arguments, started: Date().timeIntervalSince1970)
  }

  /// The names of all ranks' machines, by rank, on every rank.
  ///
  /// - Throws: What the group throws.
  static func hosts(_ group: any ProcessGroup) throws -> [String] {
    var own = [UInt8](hostName().utf8.prefix(nameLength))
    own += [UInt8](repeating: 0, count: nameLength - own.count)
    var all = [UInt8](repeating: 0, count: nameLength * group.size)
    let parts = Partition(parts: group.size, of: nameLength)
    unsafe try own.withUnsafeBytes { send in
      unsafe try all.withUnsafeMutableBytes { unsafe try group.gather(send, into: $0, parts) }
    }
    return (0..<group.size).map { rank in
      String(decoding: all[parts.range(of: rank)].prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  private static func processor() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
      ?? "unknown"
  }
}
