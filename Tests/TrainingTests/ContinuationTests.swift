import Interactions
import Testing
import Training

/// What resuming means where nothing was cut short.
@Suite struct ContinuationTests {
  @Test func moreEpochsContinueAFinishedRun() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(TrainingConfiguration.stoppable(.ig), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    run.configuration.epochs = 1
    try run.train(ranks: 2)
    run.configuration.epochs = 3
    #expect(try run.finish(ranks: 3).differences(from: undisturbed) == [])
  }

  @Test func aFinishedRunHasNothingLeftToDo() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(TrainingConfiguration.stoppable(.bce), dataset, "\(directory.path)/run")
    let first = try run.train(ranks: 2)
    // A fourth step would stop it.
    #expect(
      try run.train(ranks: 3, isResuming: true, stopAfter: 1) == [first[0], first[0], first[0]])
  }

  @Test func resumingWhatNeverStartedStarts() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(TrainingConfiguration.stoppable(.bce), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    #expect(try run.finish(ranks: 2).differences(from: undisturbed) == [])
  }

  /// No epoch is better for so long: the run ends early, resumed or not.
  @Test func patienceSurvivesAResume() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var configuration = TrainingConfiguration.stoppable(.bce)
    configuration.epochs = 60
    configuration.patience = 2
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    #expect(undisturbed.history.count < 60)
    #expect(undisturbed.result.bestEpoch == undisturbed.history.count - 2)
    #expect(undisturbed.state.isFinished)
    let steps = undisturbed.result.steps
    run.stop(ranks: 2, after: steps - 3, resuming: false)
    #expect(try run.finish(ranks: 3).differences(from: undisturbed) == [])
  }
}
