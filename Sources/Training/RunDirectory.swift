import Evaluation
import Foundation
package import Storage

/// The files of one run; see docs/formats.md. Only rank 0 writes here, checkpoints apart.
package struct RunDirectory: Sendable {
  package let path: String
  /// The longest JSON file that is read.
  private static let longest = 64 << 20

  package init(_ path: String) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  package var configurationPath: String { "\(path)/configuration.json" }
  package var environmentPath: String { "\(path)/environment.json" }
  package var metricsPath: String { "\(path)/metrics.jsonl" }
  package var resultPath: String { "\(path)/result.json" }
  package var eventsPath: String { "\(path)/events" }
  package var checkpointsPath: String { "\(path)/checkpoints" }

  /// Whether a run was ever started here.
  package var exists: Bool { Files.size(of: configurationPath) != nil }

  /// The configuration and the dataset of a run, as `configuration.json` holds them.
  package struct Setup: Codable, Equatable, Sendable {
    /// The version that this program writes, and the newest it reads.
    package static let currentVersion = 1

    package var version = Setup.currentVersion
    package var dataset: String
    package var datasetFingerprint: String
    package var training: TrainingConfiguration

    package init(dataset: String, datasetFingerprint: String, training: TrainingConfiguration) {
      self.dataset = dataset
      self.datasetFingerprint = datasetFingerprint
      self.training = training
    }

    private enum CodingKeys: String, CodingKey {
      case version, dataset, training
      case datasetFingerprint = "dataset_fingerprint"
    }
  }

  /// Where and with what a run was last started.
  package struct Environment: Codable, Equatable, Sendable {
    package var version: String
    package var ranks: Int
    package var hosts: [String]
    package var processor: String
    package var mpi: String
    package var tables: String
    package var command: [String]
    /// Seconds since 1970.
    package var started: Double

    package init(
      version: String, ranks: Int, hosts: [String], processor: String, mpi: String,
      tables: String, command: [String], started: Double
    ) {
      self.version = version
      self.ranks = ranks
      self.hosts = hosts
      self.processor = processor
      self.mpi = mpi
      self.tables = tables
      self.command = command
      self.started = started
    }
  }

  /// Creates the directory of a new run.
  ///
  /// - Throws: `Failure`: usage when something else stands there, `inputOutput`.
  package func create(_ setup: Setup) throws(Failure) {
    if let present = try? FileManager.default.contentsOfDirectory(atPath: path), !present.isEmpty {
      throw .usage(
        "\(path) already holds a run or other files; add --resume to go on with it, "
          + "or choose another --output")
    }
    try Files.createDirectory(path)
    try write(setup, to: configurationPath)
  }

  /// Reads what a run was started with.
  ///
  /// - Throws: `Failure`: data when this is not a run directory, `inputOutput`.
  package func setup() throws(Failure) -> Setup {
    guard exists else {
      throw .data("\(path) is not a run directory: configuration.json is missing")
    }
    let setup: Setup = try read(configurationPath)
    guard setup.version <= Setup.currentVersion else {
      throw .data(
        "\(configurationPath): version \(setup.version) is newer than this program understands "
          + "(\(Setup.currentVersion)); use a newer program")
    }
    do throws(Failure) {
      try setup.training.validate()
    } catch {
      throw .data("\(configurationPath): \(error.message)")
    }
    return setup
  }

  /// Reads the result of a finished run, `nil` when it is not finished.
  ///
  /// - Throws: `Failure`: data when the file is damaged, `inputOutput`.
  package func result() throws(Failure) -> TrainingResult? {
    guard Files.size(of: resultPath) != nil else { return nil }
    return try read(resultPath)
  }

  /// Replaces `metrics.jsonl` with one line per finished epoch.
  ///
  /// Nothing waits for the disk: the checkpoint holds the same history, and a resumed run writes
  /// the file again.
  func writeMetrics(_ history: [EpochRecord]) throws(Failure) {
    var bytes: [UInt8] = []
    for record in history { bytes += try Self.encode(record, pretty: false) }
    try Files.replace(metricsPath, with: bytes, durable: false)
  }

  func write(_ value: some Encodable, to path: String) throws(Failure) {
    try Files.replace(path, with: try Self.encode(value, pretty: true))
  }

  private func read<Value: Decodable>(_ path: String) throws(Failure) -> Value {
    try Self.decode(try Files.read(path, atMost: Self.longest), path)
  }

  /// JSON with sorted keys and a final line feed.
  package static func encode<Value: Encodable>(_ value: Value, pretty: Bool) throws(Failure)
    -> [UInt8]
  {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    do {
      return [UInt8](try encoder.encode(value)) + [UInt8(ascii: "\n")]
    } catch {
      throw .software("cannot write \(Value.self) as JSON: \(error.localizedDescription)")
    }
  }

  /// A value from JSON.
  ///
  /// - Parameters:
  ///   - bytes: The JSON.
  ///   - path: Where it comes from, for the message.
  /// - Returns: The value.
  /// - Throws: `Failure` of kind data.
  package static func decode<Value: Decodable>(_ bytes: [UInt8], _ path: String) throws(Failure)
    -> Value
  {
    do {
      return try JSONDecoder().decode(Value.self, from: Data(bytes))
    } catch {
      throw .data("\(path) is damaged or of another version: \(error.localizedDescription)")
    }
  }
}
