import Backbones
import Fabric
import Foundation
import Interactions
import Logging
import Sharding
import Storage
import Synchronization
import Testing
import Training

/// A run in a directory, as the program would make it.
struct TrainingRun: Sendable {
  var configuration: TrainingConfiguration
  var dataset: Dataset
  var path: String
  /// In place of the configuration's; called on every rank.
  var backbone: (@Sendable () -> any Backbone)?
  /// Where the weights and moments of a row lie.
  var rows = RowPlacement.bySize
  /// Seconds between the tries to write what a run leaves at its end.
  var pauses: [Double] = []
  /// Where warnings go.
  var warnings: Warnings?

  init(
    _ configuration: TrainingConfiguration, _ dataset: Dataset, _ path: String,
    backbone: (@Sendable () -> any Backbone)? = nil
  ) {
    self.configuration = configuration
    self.dataset = dataset
    self.path = path
    self.backbone = backbone
  }

  var directory: RunDirectory { RunDirectory(path) }

  /// One rank's part.
  func train(
    on group: any ProcessGroup, isResuming: Bool = false, stopAfter: Int? = nil,
    beforeStep: @escaping () -> Void = {}
  ) throws -> TrainingResult {
    var surroundings = Trainer.Surroundings(
      environment: RunDirectory.Environment(
        version: "test", ranks: group.size, hosts: [], processor: "", mpi: "",
        tables: configuration.tables.rawValue, command: [], started: 1),
      log: Logger(label: "test") { [warnings] _ in
        warnings.map { $0 as any LogHandler } ?? SwiftLogNoOpLogHandler()
      })
    surroundings.isResuming = isResuming
    surroundings.placement = rows
    surroundings.pauses = pauses
    // Only the last rank is asked to stop; all must hear of it.
    let isAsked = group.rank == group.size - 1
    let calls = Counter()
    surroundings.isStopRequested = {
      beforeStep()
      return calls.next() == stopAfter && isAsked
    }
    return try Trainer(
      configuration, dataset: dataset, run: directory, group: group, surroundings: surroundings,
      backbone: backbone?()
    ).train()
  }

  /// All ranks; returns what each returns.
  @discardableResult
  func train(
    ranks: Int, ranksPerMachine: Int? = nil, isResuming: Bool = false, stopAfter: Int? = nil
  ) throws -> [TrainingResult] {
    try LocalGroup.run(ranks: ranks, ranksPerMachine: ranksPerMachine) {
      try train(on: $0, isResuming: isResuming, stopAfter: stopAfter)
    }
  }

  /// Trains to the end on ranks of some machines, in a directory of its own.
  func outcome(machines: [Int], as name: String) throws -> Outcome {
    var run = self
    run.path = "\(path)-\(name)"
    let results = try LocalGroup.run(machines: machines) { [run] in try run.train(on: $0) }
    return try Outcome(run, result: results[0], others: results)
  }

  /// Trains to the end in a directory of its own.
  func outcome(
    ranks: Int, at placement: Placement = .shared, as name: String
  ) throws -> Outcome {
    var run = self
    run.configuration.tables = placement.tables
    run.path = "\(path)-\(name)"
    let results = try run.train(ranks: ranks, ranksPerMachine: placement.ranksPerMachine)
    return try Outcome(run, result: results[0], others: results)
  }
}

/// Keeps the warnings of a run.
struct Warnings: LogHandler {
  private final class Lines: Sendable { let all = Mutex<[String]>([]) }

  var metadata = Logger.Metadata()
  var logLevel = Logger.Level.warning
  private let kept = Lines()
  /// Called with each warning.
  private let onWarning: (@Sendable (String) -> Void)?

  init(onWarning: (@Sendable (String) -> Void)? = nil) { self.onWarning = onWarning }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    kept.all.withLock { $0.append("\(event.message)") }
    onWarning?("\(event.message)")
  }

  var lines: [String] { kept.all.withLock { $0 } }
}

/// Where item rows are, and how they travel.
enum Placement: CaseIterable, Sendable {
  /// All ranks on one machine: one copy in memory that they share.
  case shared
  /// Every rank on a machine of its own: copies everywhere, or rows with their owners.
  case replicated, sharded
  /// Two ranks to a machine, several machines.
  case replicatedPairs, shardedPairs

  /// Placements by messages.
  static let messages: [Self] = [.replicated, .sharded]

  var tables: TablePlacement {
    switch self {
    case .shared, .replicated, .replicatedPairs: .replicated
    case .sharded, .shardedPairs: .sharded
    }
  }

  var ranksPerMachine: Int? {
    switch self {
    case .shared: nil
    case .replicated, .sharded: 1
    case .replicatedPairs, .shardedPairs: 2
    }
  }

  /// Those that differ for so many ranks.
  static func all(ranks: Int) -> [Self] {
    allCases.filter { placement in
      placement.ranksPerMachine.map { $0 < max(ranks, 2) } ?? true
    }
  }
}

extension TrainingRun {
  /// Stops a run after some steps, counted from where it goes on.
  func stop(ranks: Int, ranksPerMachine: Int? = nil, after step: Int, resuming: Bool) {
    let failure = failure {
      try train(
        ranks: ranks, ranksPerMachine: ranksPerMachine, isResuming: resuming, stopAfter: step)
    }
    #expect(failure?.kind == .interrupted)
    #expect(failure?.message.hasPrefix("stopped on request after step ") == true)
    #expect(failure?.message.hasSuffix(", checkpoint written; go on with --resume") == true)
  }

  /// Resumes to the end.
  func finish(ranks: Int, ranksPerMachine: Int? = nil) throws -> Outcome {
    let results = try train(ranks: ranks, ranksPerMachine: ranksPerMachine, isResuming: true)
    return try Outcome(self, result: results[0], others: results)
  }
}

private final class Counter {
  private var count = 0

  func next() -> Int {
    count += 1
    return count
  }
}

/// Everything a run promises to repeat: model, optimizer and figures, without times and ranks.
struct Outcome {
  var files: [String: [UInt8]] = [:]
  var history: [EpochRecord]
  var state: TrainingState
  var result: TrainingResult
  /// Whether every rank returned the same result.
  var isUnanimous: Bool

  init(_ run: TrainingRun, result: TrainingResult, others: [TrainingResult]) throws {
    let root = run.directory.checkpointsPath
    let last = try Files.names(in: root).filter { $0.hasPrefix("step-") }.max() ?? ""
    files["best"] = try Files.read("\(root)/best/model.safetensors")
    for name in ["model", "optimizer"] {
      files[name] = try Files.read("\(root)/\(last)/\(name).safetensors")
    }
    let lines = String(decoding: try Files.read(run.directory.metricsPath), as: UTF8.self)
    history = try lines.split(separator: "\n").map {
      try RunDirectory.decode(Array($0.utf8), run.directory.metricsPath)
    }
    state = try RunDirectory.decode(
      try Files.read("\(root)/\(last)/state.json"), "\(root)/\(last)/state.json")
    self.result = result
    isUnanimous = others.allSatisfy { $0 == result }
    isUnanimous = try isUnanimous && run.directory.result() == result
    forgetTimes(run.configuration)
  }

  /// What differs from another outcome, in words; nothing when all is the same.
  func differences(from other: Outcome) -> [String] {
    var names = files.keys.filter { files[$0] != other.files[$0] }.sorted()
    for epoch in 0..<max(history.count, other.history.count) {
      let (mine, theirs) = (history.dropFirst(epoch).first, other.history.dropFirst(epoch).first)
      if mine != theirs { names.append("epoch \(epoch + 1): \(mine as Any), \(theirs as Any)") }
    }
    if state != other.state { names.append("state") }
    if result != other.result { names.append("result: \(result), \(other.result)") }
    if !isUnanimous || !other.isUnanimous { names.append("ranks") }
    return names
  }

  private mutating func forgetTimes(_ configuration: TrainingConfiguration) {
    for epoch in history.indices {
      history[epoch].time = 0
      history[epoch].rowsPerSecond = 0
    }
    for epoch in state.history.indices {
      state.history[epoch].time = 0
      state.history[epoch].rowsPerSecond = 0
    }
    state.seconds = 0
    state.phases = PhaseSeconds()
    state.configuration.tables = .replicated
    state.configuration.checkpointEvery = 0
    state.configuration.checkpointEpochs = 1
    result.seconds = 0
    result.phases = PhaseSeconds()
    result.rowsPerSecond = 0
    result.ranks = 0
  }
}

extension TrainingConfiguration {
  /// Three epochs with enough steps to stop in the middle of one.
  static func stoppable(_ method: Method) -> Self {
    .brief(method) {
      $0.epochs = 3
      $0.batch = 40
      $0.optimizer = .adam
    }
  }

  /// A run of some steps per epoch that is over at once.
  static func brief(_ method: Method, _ change: (inout Self) -> Void = { _ in }) -> Self {
    var configuration = TrainingConfiguration()
    configuration.method = method
    configuration.factors = 10
    configuration.biases = true
    configuration.batch = 50
    configuration.epochs = 2
    configuration.patience = 0
    configuration.rate = 0.05
    configuration.innerRate = 0.02
    configuration.weightDecay = 0.001
    configuration.dropSteps = 6
    change(&configuration)
    return configuration
  }
}
