import Foundation
package import Storage

/// Everything one run of the benchmarks found: `benchmarks.json`.
///
/// Measurements stand in one flat list, so that tables, pictures and scripts take what they need
/// without knowing how the suites are built.
package struct Report: Codable, Equatable, Sendable {
  /// The version that this program writes, and the newest it reads.
  package static let currentVersion = 1

  package var version = Report.currentVersion
  /// When the run began, ISO 8601, UTC.
  package var date: String
  package var machine: MachineDescription
  /// Whether the run was a short one, with fewer repetitions and sizes.
  package var quick: Bool
  /// What was trained on.
  package var dataset: String
  package var measurements: [Measurement] = []
  package var skipped: [Skipped] = []
  package var reach: [ReachRow] = []

  package init(date: String, machine: MachineDescription, quick: Bool, dataset: String) {
    self.date = date
    self.machine = machine
    self.quick = quick
    self.dataset = dataset
  }

  /// The first measurement of that name whose parameters match, or `nil`.
  package func find(
    _ suite: String, _ name: String, _ parameters: [String: String] = [:]
  ) -> Summary? {
    measurements.first { $0.matches(suite, name, parameters) }?.value
  }

  /// All measurements of that name whose parameters match, in the order they were taken.
  package func all(
    _ suite: String, _ name: String, _ parameters: [String: String] = [:]
  ) -> [Measurement] {
    measurements.filter { $0.matches(suite, name, parameters) }
  }

  /// Reads a report.
  ///
  /// - Throws: `Failure`: `inputOutput`; data when it is no report, or one of a newer program.
  package static func read(_ path: String) throws(Failure) -> Report {
    let bytes = Data(try Files.read(path))
    let decoder = JSONDecoder()
    do {
      let head = try decoder.decode(Head.self, from: bytes)
      guard head.version <= currentVersion else {
        throw Failure.data(
          "\(path): version \(head.version) is newer than this program understands "
            + "(\(currentVersion)); use a newer program")
      }
      return try decoder.decode(Report.self, from: bytes)
    } catch let failure as Failure {
      throw failure
    } catch {
      throw .data("\(path) is not a report of the benchmarks: \(error.localizedDescription)")
    }
  }

  /// Writes the report, keys in order, so that two reports can be compared line by line.
  ///
  /// - Throws: `Failure`: `inputOutput`; software when a figure is not finite.
  package func write(_ path: String) throws(Failure) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    let bytes: [UInt8]
    do {
      bytes = [UInt8](try encoder.encode(self)) + [UInt8(ascii: "\n")]
    } catch {
      throw .software("cannot write the report as JSON: \(error.localizedDescription)")
    }
    try Files.replace(path, with: bytes)
  }

  private struct Head: Decodable { let version: Int }
}
