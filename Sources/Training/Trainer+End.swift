import Checkpoints
import Evaluation
import Fabric
import Interactions
import Logging
import Storage

// A run ends: with the figures of its best model.
extension Trainer {
  /// Evaluates the best model on the test split and writes the result.
  func finish() throws -> TrainingResult {
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
