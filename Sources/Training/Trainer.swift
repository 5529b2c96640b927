package import Backbones
import Checkpoints
import Evaluation
package import Fabric
import Foundation
package import Interactions
package import Logging
package import Sharding
package import Storage

/// The main job: trains a model on a dataset, on any number of ranks, into a run directory.
///
/// The same dataset, configuration and seed give the same metrics and the same bytes of model and
/// optimizer files for every number of ranks, stopped and resumed or not; only records of time
/// differ. All ranks compute; rank 0 keeps the records.
package final class Trainer {
  /// What surrounds a run without deciding its bytes.
  package struct Surroundings {
    /// Go on with a run that exists; start one that does not.
    package var isResuming = false
    /// Asked after every step; true ends the run after a checkpoint.
    package var isStopRequested: () -> Bool = { false }
    /// Draw a bar on standard error, which is a terminal, instead of a line a minute in the log.
    package var showsProgress = false
    /// Where the weights and moments of a row lie.
    package var placement = RowPlacement.bySize
    /// Seconds between the tries to write what a process leaves at its end.
    package var pauses: [Double] = [1, 2, 4]
    package var environment: RunDirectory.Environment
    package var log: Logger

    package init(environment: RunDirectory.Environment, log: Logger) {
      self.environment = environment
      self.log = log
    }
  }

  let configuration: TrainingConfiguration
  let dataset: Dataset
  let run: RunDirectory
  let surroundings: Surroundings
  let group: any ProcessGroup
  let context: JobContext
  let model: Model
  let loader: any EpochSource
  let evaluator: EpochEvaluator
  let store: CheckpointStore
  let checkpoints: CheckpointWriter
  let clock: PhaseClock
  let schedule: StepSchedule
  var state: TrainingState
  var events: EventFile?

  /// Prepares a run; writes nothing yet.
  ///
  /// - Parameters:
  ///   - configuration: What to train.
  ///   - dataset: On what.
  ///   - run: Where results go.
  ///   - group: The ranks, at most as many as the dataset has shards.
  ///   - surroundings: Progress, logs, requests to stop.
  ///   - backbone: In place of the configuration's; one object per rank.
  /// - Throws: `Failure`: usage for impossible configurations, data for a damaged dataset.
  package init(
    _ configuration: TrainingConfiguration, dataset: Dataset, run: RunDirectory,
    group: any ProcessGroup, surroundings: Surroundings, backbone: (any Backbone)? = nil
  ) throws {
    try configuration.validate()
    try requireRanks(group.size, atMost: dataset)
    guard dataset.trainRows > 0 else {
      throw Failure.data("\(dataset.directory) has no labeled training rows")
    }
    var configuration = configuration
    let log = surroundings.log
    let initial = try InitialModels.open(
      configuration, dataset: dataset, group: group, warn: { log.warning("\($0)") })
    configuration.initialModels = initial?.digests
    self.configuration = configuration
    self.dataset = dataset
    self.run = run
    self.group = group
    self.surroundings = surroundings
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: group.size)
    context = JobContext(group: group, tree: tree, configuration: configuration)
    model = try Model(
      configuration, dataset: dataset, context: context, backbone: backbone,
      placement: surroundings.placement)
    try initial?.join(into: model)
    let numbers = NumericalGuard(configuration, model: model, dataset: dataset, context: context)
    if initial != nil { try numbers.search.requireFiniteInitialModel(configuration) }
    loader =
      if let backbone = model.backbone as? any SequenceBackbone {
        try SequenceLoader(
          configuration, length: backbone.sequenceLength, dataset: dataset, context: context)
      } else {
        try BatchLoader(configuration, dataset: dataset, context: context)
      }
    clock = context.clock
    evaluator = try EpochEvaluator(
      configuration, model: model, dataset: dataset, context: context)
    store = CheckpointStore(directory: run.checkpointsPath, keep: configuration.keep)
    checkpoints = CheckpointWriter(
      store: store, model: model, metadata: Self.metadata(of: configuration), group: group,
      policy: CheckpointWriter.Policy(
        isRequired: configuration.checkpointRequired, pauses: surroundings.pauses,
        warn: { if group.rank == 0 { log.warning("\($0)") } }))
    schedule = StepSchedule(
      configuration, model: model, source: loader, context: context, numbers: numbers)
    state = TrainingState(
      configuration, datasetFingerprint: dataset.fingerprint, hasValid: dataset.validRows > 0)
  }

  /// Trains to the end.
  ///
  /// - Returns: The result, the same on every rank.
  /// - Throws: `Failure`: interrupted after a requested stop, usage for a run directory that is
  ///   taken or was made with other options, data for damaged checkpoints or datasets, software
  ///   for numbers that are not finite, `inputOutput`; what the group throws.
  package func train() throws -> TrainingResult {
    // However the run ends, what is being written comes to its end.
    defer { try? checkpoints.finish() }
    if let finished = try begin() { return finished }
    var bar = ProgressBar(progressDisplay, rowsDone: state.rowsDone)
    let rowsTotal = loader.rowCount * configuration.epochs
    while state.epoch < configuration.epochs, !state.isFinished {
      while state.step < loader.stepCount {
        let isStopping = try takeStep()
        bar.update(
          epoch: state.epoch + 1, epochs: configuration.epochs, rowsDone: state.rowsDone,
          rowsTotal: rowsTotal)
        let isDue =
          configuration.checkpointEvery > 0 && state.number % configuration.checkpointEvery == 0
        let isRetrying = try checkpoints.isRetryDue(after: state.number)
        if isStopping || ((isDue || isRetrying) && state.step < loader.stepCount) {
          try saveCheckpoint(isLast: isStopping)
        }
        if isStopping {
          bar.clear()
          try checkpoints.finish()
          throw Failure(
            .interrupted,
            "stopped on request after step \(state.number), checkpoint written; "
              + "go on with --resume")
        }
      }
      bar.clear()
      try finishEpoch()
    }
    return try finish()
  }

  private var progressDisplay: ProgressBar.Display {
    guard group.rank == 0 else { return .none }
    let log = surroundings.log
    return surroundings.showsProgress ? .terminal : .lines { log.info("\($0)") }
  }

  /// Returns whether some rank was asked to stop.
  private func takeStep() throws -> Bool {
    let start = ContinuousClock.now
    clock.start()
    group.position.begin(epoch: state.epoch + 1, step: state.number + 1)
    let position = StepPosition(epoch: state.epoch, step: state.step, number: state.number)
    let record = try schedule.rule(for: state.number).step(
      position, isStopRequested: surroundings.isStopRequested())
    state.record(record)
    if record.isSkipped {
      let log = surroundings.log
      try state.requireProgress(record) { if group.rank == 0 { log.warning("\($0)") } }
    }
    state.seconds += (ContinuousClock.now - start) / .seconds(1)
    return record.isStopRequested
  }

  /// What a reader of the model file alone should know.
  private static func metadata(of configuration: TrainingConfiguration) -> [String: String] {
    ["format": "inverse-model", "version": "1", "backbone": configuration.backbone.rawValue]
  }
}

/// Refuses more ranks than shards.
///
/// - Throws: `Failure` of kind usage.
package func requireRanks(_ ranks: Int, atMost dataset: Dataset) throws(Failure) {
  guard ranks <= dataset.shardCount else {
    throw .usage(
      "\(ranks) ranks but \(dataset.directory) has \(dataset.shardCount) shards: start at most "
        + "\(dataset.shardCount) ranks, or prepare the dataset with more --shards")
  }
}
