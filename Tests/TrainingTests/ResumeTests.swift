import Fabric
import Foundation
import Interactions
import Storage
import Testing
import Training

/// A run that was stopped and resumed ends in the bytes of one that was never stopped.
@Suite struct ResumeTests {
  @Test(arguments: Method.allCases) func anyStopAnyRanksSameBytes(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(TrainingConfiguration.stoppable(method), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    let steps = undisturbed.result.steps / 3
    #expect(steps > 4)
    // The first step, inside the first epoch, its last step, the first of the next, the last.
    for (stop, ranks, other) in [
      (1, 1, 3), (3, 3, 2), (steps, 2, 5), (steps + 1, 4, 1), (3 * steps, 2, 3),
    ] {
      var part = run
      part.path = "\(directory.path)/\(stop)"
      part.configuration.tables = stop % 2 == 0 ? .replicated : .sharded
      part.stop(ranks: ranks, after: stop, resuming: false)
      part.configuration.tables = stop % 2 == 0 ? .sharded : .replicated
      #expect(
        try part.finish(ranks: other).differences(from: undisturbed) == [], "stopped after \(stop)")
    }
  }

  /// From shared rows of one machine to those of several, to rows with their owners, and back.
  @Test(arguments: Method.allCases) func layoutsMayChange(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(TrainingConfiguration.stoppable(method), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    let layouts: [(Int, Int?, TablePlacement)] = [
      (4, 2, .replicated), (3, nil, .sharded), (5, 2, .replicated), (4, 1, .sharded),
      (3, 1, .replicated),
    ]
    for (number, layout) in layouts.enumerated() {
      var part = run
      part.configuration.tables = layout.2
      part.stop(
        ranks: layout.0, ranksPerMachine: layout.1, after: 2, resuming: number > 0)
    }
    #expect(try run.finish(ranks: 7, ranksPerMachine: 3).differences(from: undisturbed) == [])
  }

  @Test func aRunMayBeStoppedAgainAndAgain() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(TrainingConfiguration.stoppable(.ig), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 2, as: "undisturbed")
    run.stop(ranks: 3, after: 2, resuming: false)
    for ranks in [1, 4, 2] { run.stop(ranks: ranks, after: 3, resuming: true) }
    #expect(try run.finish(ranks: 3).differences(from: undisturbed) == [])
  }

  /// A killed run leaves its periodic checkpoints; work after the last one is done again.
  @Test func theLastPeriodicCheckpointIsEnough() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(TrainingConfiguration.stoppable(.ig), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 2, as: "undisturbed")
    run.configuration.checkpointEvery = 2
    run.stop(ranks: 2, after: 5, resuming: false)
    let checkpoints = run.directory.checkpointsPath
    #expect(
      try Files.names(in: checkpoints).filter { $0.hasPrefix("step-") }
        == [2, 4, 5].map { String(format: "step-%012d", $0) })
    try Files.remove("\(checkpoints)/step-000000000005")
    #expect(try run.finish(ranks: 3).differences(from: undisturbed) == [])
  }

  /// Checkpoints of every second epoch and of the last, the same model, and a stop in between that
  /// loses nothing: neither the steps nor a best model that no checkpoint had published yet.
  @Test func checkpointsOfSomeEpochsAreEnough() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(TrainingConfiguration.stoppable(.ig), dataset, "\(directory.path)/run")
    run.configuration.epochs = 5
    run.configuration.keep = 9
    let undisturbed = try run.outcome(ranks: 2, as: "undisturbed")
    let steps = undisturbed.result.steps / 5
    run.configuration.checkpointEpochs = 2
    let rare = try run.outcome(ranks: 3, as: "rare")
    #expect(rare.differences(from: undisturbed) == [])
    let expected = [2, 4, 5].map { String(format: "step-%012d", $0 * steps) }
    let stepNames = { path in
      try Files.names(in: path + "/checkpoints").filter { $0.hasPrefix("step-") }
    }
    #expect(try stepNames("\(run.path)-rare") == expected)
    // In the second epoch, the model of the first being the best so far.
    run.stop(ranks: 1, after: steps + 1, resuming: false)
    #expect(try stepNames(run.path) == [String(format: "step-%012d", steps + 1)])
    #expect(Files.exists(run.directory.checkpointsPath + "/best"))
    // In the fourth; as if it had been killed instead of stopped.
    run.stop(ranks: 2, after: 2 * steps, resuming: true)
    try Files.remove(
      run.directory.checkpointsPath + String(format: "/step-%012d", 3 * steps + 1))
    #expect(try run.finish(ranks: 3).differences(from: undisturbed) == [])
  }

  /// The newest checkpoint is damaged: the one before serves.
  @Test func aDamagedCheckpointIsPassedOver() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(TrainingConfiguration.stoppable(.idl), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 2, as: "undisturbed")
    run.configuration.checkpointEvery = 2
    run.stop(ranks: 2, after: 5, resuming: false)
    let file = "\(run.directory.checkpointsPath)/step-000000000005/optimizer.safetensors"
    var bytes = try Files.read(file)
    bytes[bytes.count - 5] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    #expect(try run.finish(ranks: 1).differences(from: undisturbed) == [])
  }
}
