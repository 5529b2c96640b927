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

  private let configuration: TrainingConfiguration
  private let dataset: Dataset
  private let run: RunDirectory
  private let surroundings: Surroundings
  private let group: any ProcessGroup
  private let context: JobContext
  private let model: Model
  private let loader: any EpochSource
  private let evaluator: EpochEvaluator
  private let store: CheckpointStore
  private let checkpoints: CheckpointWriter
  private let clock: PhaseClock
  private let schedule: StepSchedule
  private var state: TrainingState
  private var events: EventFile?

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
    var bar = ProgressBar(
      isShown: surroundings.showsProgress && group.rank == 0, rowsDone: state.rowsDone)
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

  // MARK: Start

  /// Makes or reopens the run directory; returns the result of a run that has nothing left to do.
  private func begin() throws -> TrainingResult? {
    let setup = RunDirectory.Setup(
      dataset: dataset.directory, datasetFingerprint: dataset.fingerprint,
      training: configuration)
    var exists: [Int64] = [group.rank == 0 && surroundings.isResuming && run.exists ? 1 : 0]
    unsafe try exists.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: 0) }
    if exists[0] == 1 {
      try requireSameRun(try run.setup())
      try loadCheckpoint()
      let isDone = state.isFinished || state.epoch >= configuration.epochs
      if isDone, let result = try run.result() {
        if group.rank == 0 { surroundings.log.notice("\(run.path) is finished already") }
        return result
      }
    } else if group.rank == 0 {
      try run.create(setup)
    }
    if group.rank == 0 {
      try run.write(setup, to: run.configurationPath)
      try run.write(surroundings.environment, to: run.environmentPath)
      try Files.remove(run.resultPath)
      try run.writeMetrics(state.history)
      events = try makeEvents()
      logStart()
    }
    return nil
  }

  private func makeEvents() throws(Failure) -> EventFile {
    let events = try EventFile(
      directory: run.eventsPath, time: surroundings.environment.started)
    for record in state.history {
      try events.append(record.scalars, step: record.step, time: record.time)
    }
    return events
  }

  private func logStart() {
    surroundings.log.info(
      """
      training \(configuration.method.rawValue) with \(configuration.backbone.rawValue), \
      \(configuration.factors) factors\(configuration.biases ? " and biases" : ""): \
      \(dataset.trainRows) labeled rows, \(dataset.users) users, \(dataset.items) items, \
      \(loader.stepCount) steps per epoch, \(group.size) of at most \(dataset.shardCount) ranks
      """)
    if dataset.validRows == 0 {
      surroundings.log.notice("no rows of valid to choose by: the last epoch counts as the best")
    }
  }

  /// Refuses to go on with a run under options that would have made another one.
  private func requireSameRun(_ setup: RunDirectory.Setup) throws(Failure) {
    guard setup.datasetFingerprint == dataset.fingerprint else {
      throw .data(
        "--resume: \(run.path) was trained on \(setup.dataset), whose content differs from "
          + "\(dataset.directory); resume with that dataset")
    }
    for (now, then) in zip(configuration.defining, setup.training.defining)
    where now.value != then.value {
      throw .usage(
        "--resume: \(run.path) was started with --\(now.option) \(then.value), not \(now.value); "
          + "repeat its options or choose another --output")
    }
  }

  private func loadCheckpoint() throws {
    let log = surroundings.log
    guard let checkpoint = try store.openNewest(group: group, warn: { log.warning("\($0)") })
    else {
      if group.rank == 0 {
        log.notice("no checkpoint yet in \(run.path): starting from the first step")
      }
      return
    }
    let path = "\(checkpoint.path)/state.json"
    let loaded: TrainingState = try RunDirectory.decode(checkpoint.state, path)
    guard loaded.version <= TrainingState.currentVersion else {
      throw Failure.data(
        "\(path): version \(loaded.version) is newer than this program understands "
          + "(\(TrainingState.currentVersion)); use a newer program")
    }
    try requireSameRun(
      RunDirectory.Setup(
        dataset: dataset.directory, datasetFingerprint: loaded.datasetFingerprint,
        training: loaded.configuration))
    try loaded.check(path, stepsPerEpoch: loader.stepCount)
    guard let optimizer = checkpoint.optimizer else {
      throw Failure.data("\(checkpoint.path): optimizer.safetensors is missing")
    }
    try model.readParameters(from: checkpoint.model)
    try model.readState(from: optimizer)
    try schedule.numbers.search.requireFiniteCheckpoint(checkpoint.path)
    state = loaded
    state.configuration = configuration
    if group.rank == 0 {
      log.notice(
        "resuming \(run.path) in epoch \(state.epoch + 1) after step \(state.number)")
    }
  }

  // MARK: Steps and epochs

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

  /// Evaluates, keeps the best model, writes a checkpoint and the records.
  private func finishEpoch() throws {
    try schedule.numbers.settle()
    try run.requirePresence(group)
    let epoch = state.epoch + 1
    let isDue = evaluator.isDue(epoch)
    clock.start()
    try clock.begin(.evaluate)
    let valid = isDue && dataset.validRows > 0 ? try evaluator.valid() : nil
    let test = isDue && configuration.reportTest != nil ? try evaluator.test() : nil
    clock.lap(.evaluate)
    let verdict = try decide(valid)
    let record = EpochRecord(
      epoch: epoch, step: state.number,
      labeledLoss: state.labeledRows > 0 ? state.labeledLoss / Double(state.labeledRows) : nil,
      unlabeledLoss: state.unlabeledRows > 0
        ? state.unlabeledLoss / Double(state.unlabeledRows) : nil,
      decisions: state.epochDecisions, skippedSteps: state.epochSkippedSteps,
      valid: valid?.reported, test: test?.reported,
      isBest: verdict.isBest, time: Date().timeIntervalSince1970,
      rowsPerSecond: state.rowsPerSecond)
    state.history.append(record)
    let isLast = verdict.shouldStop || epoch >= configuration.epochs
    let isRetrying = try checkpoints.isRetryDue(after: state.number)
    let isSaving = isLast || isRetrying || epoch % configuration.checkpointEpochs == 0
    state.beginNextEpoch()
    state.isFinished = verdict.shouldStop
    if isSaving {
      try saveCheckpoint(best: verdict.isBest ? record : nil, isLast: isLast)
    } else if verdict.isBest && dataset.validRows > 0 {
      // Without rows to choose by every epoch is the best so far: only those that are published.
      try stageBest(record)
    }
    guard group.rank == 0 else { return }
    writeRecords(record)
    let line = record.line(
      of: configuration.epochs, rows: loader.rowCount, select: configuration.select)
    surroundings.log.info("\(line)")
  }

  /// Writes what people watch; where that fails, it is made whole after the next epoch.
  private func writeRecords(_ record: EpochRecord) {
    do {
      try run.writeMetrics(state.history)
      if let events {
        try events.append(record.scalars, step: record.step, time: record.time)
      } else {
        events = try makeEvents()
      }
    } catch {
      events = nil
      surroundings.log.warning(
        "records of epoch \(record.epoch) were not written: \(error); they follow after the next")
    }
  }

  /// Rank 0 judges the epoch and tells the others.
  private func decide(_ valid: EpochEvaluator.Figures?) throws -> BestEpoch.Verdict {
    // Every rank holds the same metrics and so the same state; what rank 0 says still decides.
    let verdict =
      if let valid {
        state.best.record(
          epoch: state.epoch + 1, metrics: valid.labeled, ranking: valid.ranking?.metrics)
      } else if dataset.validRows == 0 {
        state.best.recordUnjudged(epoch: state.epoch + 1)
      } else {
        BestEpoch.Verdict.undecided
      }
    var told: [Int64] = [verdict.isBest ? 1 : 0, verdict.shouldStop ? 1 : 0]
    unsafe try told.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: 0) }
    guard told == [verdict.isBest ? 1 : 0, verdict.shouldStop ? 1 : 0] else {
      throw Failure.software(
        "rank \(group.rank) and rank 0 disagree about epoch \(state.epoch + 1): ranks diverged")
    }
    return verdict
  }

  /// - Parameters:
  ///   - best: The epoch that has just become the best one.
  ///   - isLast: Whether this process writes none after it.
  /// - Throws: `Failure`; what the group throws.
  private func saveCheckpoint(best: EpochRecord? = nil, isLast: Bool = false) throws {
    try schedule.numbers.settle()
    try run.requirePresence(group)
    clock.start()
    try clock.begin(.checkpoint)
    defer { clock.lap(.checkpoint) }
    state.phases += clock.take()
    let content = try RunDirectory.encode(state, pretty: true)
    let best = try best.map { try RunDirectory.encode($0, pretty: true) }
    if isLast {
      try checkpoints.saveAtEnd(step: state.number, state: content, best: best)
    } else {
      try checkpoints.save(step: state.number, state: content, best: best)
    }
  }

  private func stageBest(_ record: EpochRecord?) throws {
    clock.start()
    try clock.begin(.checkpoint)
    defer { clock.lap(.checkpoint) }
    try checkpoints.stageBest(
      step: state.number, state: try RunDirectory.encode(record, pretty: true))
  }

  /// What a reader of the model file alone should know.
  private static func metadata(of configuration: TrainingConfiguration) -> [String: String] {
    ["format": "inverse-model", "version": "1", "backbone": configuration.backbone.rawValue]
  }

  // MARK: End

  /// Evaluates the best model on the test split and writes the result.
  private func finish() throws -> TrainingResult {
    if state.best.epoch == nil {
      // No epoch had the figure that decides: the last one is as good as any.
      if group.rank == 0 {
        surroundings.log.warning(
          "no epoch has a finite \(configuration.select.rawValue): keeping the last model")
      }
      try checkpoints.publishAtEnd(
        step: state.number, state: try RunDirectory.encode(state.history.last, pretty: true))
    }
    let log = surroundings.log
    clock.start()
    try clock.begin(.checkpoint)
    try checkpoints.finish()
    guard let best = try store.openBest(group: group, warn: { log.warning("\($0)") }) else {
      let step = state.best.epoch.map { state.history[$0 - 1].step } ?? state.number
      throw Failure.data(
        "\(store.directory)/best is missing or damaged; to train it again, remove the checkpoints of "
          + "step \(step) and later, and resume the run")
    }
    try model.readParameters(from: best.model)
    clock.lap(.checkpoint)
    try clock.begin(.evaluate)
    let bestEpoch = state.best.epoch ?? state.history.count
    // The same model had these figures at the end of its epoch, if that was evaluated.
    let valid = try state.history[bestEpoch - 1].valid ?? evaluator.valid().reported
    let test = try evaluator.test().reported
    clock.lap(.evaluate)
    try group.position.enter(.finish)
    // Each rank has a clock of its own; the result is the same on all.
    unsafe try withUnsafeMutableBytes(of: &state.seconds) {
      unsafe try group.broadcast($0, from: 0)
    }
    state.phases += clock.take()
    try state.phases.takeThoseOfRankZero(group)
    let result = TrainingResult(
      method: configuration.method.rawValue, backbone: configuration.backbone.rawValue,
      seed: configuration.seed, ranks: group.size, bestEpoch: bestEpoch,
      epochs: state.history.count, steps: state.number, rowsPerSecond: state.rowsPerSecond,
      seconds: state.seconds, phases: state.phases, valid: valid, test: test,
      decisions: state.decisions, skippedSteps: state.skippedSteps,
      modelSHA256: best.modelSHA256, datasetFingerprint: dataset.fingerprint,
      version: surroundings.environment.version)
    if group.rank == 0 {
      try run.writeResult(result, pauses: surroundings.pauses) { log.warning("\($0)") }
      if let skipped = state.skippedSteps {
        log.warning("\(skipped) of \(state.number) steps were left out: see --on-nonfinite")
      }
    }
    // Nobody leaves before the result stands, so that a job that ended well has one.
    try group.barrier()
    return result
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
