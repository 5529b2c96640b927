import Checkpoints
import Fabric
import Interactions
import Logging
import Storage

// A run begins: in a new directory, or where a checkpoint says.
extension Trainer {
  /// Makes or reopens the run directory; returns the result of a run that has nothing left to do.
  func begin() throws -> TrainingResult? {
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

  func makeEvents() throws(Failure) -> EventFile {
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
}
