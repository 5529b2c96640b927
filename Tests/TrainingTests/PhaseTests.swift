import Fabric
import Foundation
import Storage
import Testing
import Training

/// Where the time of a run goes: nothing of it is counted twice or lost when a run is resumed.
@Suite struct PhaseTests {
  private static let stepPhases = Phase.allCases.filter { $0 != .evaluate && $0 != .checkpoint }

  private static func total(_ seconds: PhaseSeconds, _ phases: [Phase]) -> Double {
    phases.reduce(0) { $0 + seconds[$1] }
  }

  /// A bound for `sum`: both clocks count the same nanoseconds, and adding some thousand numbers
  /// rounds by less than a part in 10¹².
  private static func isAtMost(_ sum: Double, _ whole: Double) -> Bool {
    sum <= whole * (1 + 1e-12)
  }

  @Test(arguments: Method.allCases, [1, 3])
  func phasesArePartsOfARun(method: Method, ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.stoppable(method), dataset, "\(directory.path)/run")
    let start = ContinuousClock.now
    let result = try run.train(ranks: ranks)[0]
    let wall = (ContinuousClock.now - start) / .seconds(1)
    for phase in Phase.allCases { #expect(result.phases[phase] >= 0) }
    for phase in [Phase.sample, .forward, .backward, .update, .evaluate, .checkpoint] {
      #expect(result.phases[phase] > 0, "\(phase)")
    }
    #expect(Self.isAtMost(Self.total(result.phases, Self.stepPhases), result.seconds))
    #expect(Self.isAtMost(result.phases.total, wall))
    let text = String(decoding: try Files.read(run.directory.resultPath), as: UTF8.self)
    for phase in Phase.allCases { #expect(text.contains("\"\(phase.name)\" : ")) }
    #expect(try run.directory.result()?.phases == result.phases)
  }

  @Test func phasesSurviveAStop() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.stoppable(.ig), dataset, "\(directory.path)/run")
    run.stop(ranks: 1, after: 6, resuming: false)
    let checkpoints = run.directory.checkpointsPath
    let path = "\(checkpoints)/step-000000000006/state.json"
    let stopped: TrainingState = try RunDirectory.decode(try Files.read(path), path)
    #expect(stopped.phases.total > 0)
    let result = try run.train(ranks: 2, isResuming: true)[0]
    for phase in Phase.allCases { #expect(result.phases[phase] >= stopped.phases[phase]) }
    #expect(Self.isAtMost(Self.total(result.phases, Self.stepPhases), result.seconds))
  }

  /// Files of before there were phases, and of a program that knows more of them.
  @Test func unknownAndMissingPhasesAreRead() throws {
    let state = TrainingState(.brief(.bce), datasetFingerprint: "abc")
    let bytes = try RunDirectory.encode(state, pretty: false)
    var object = try #require(
      try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    object["phases"] = nil
    let old = try JSONSerialization.data(withJSONObject: object)
    #expect(try RunDirectory.decode(Array(old), "state.json") == state)
    let read: PhaseSeconds = try RunDirectory.decode(
      Array(#"{"sample": 1.5, "waiting": 2, "update": 0.25}"#.utf8), "phases")
    #expect(read[.sample] == 1.5 && read[.update] == 0.25 && read.total == 1.75)
  }

  @Test func aClockGivesItsLapsOnce() {
    let clock = PhaseClock()
    clock.lap(.sample)
    let first = clock.take()
    #expect(first[.sample] > 0 && first[.update] == 0)
    #expect(clock.take() == PhaseSeconds())
  }

  /// A checkpoint that is written beside the training fails: the run ends with that error.
  @Test func anErrorOfTheDiskEndsTheRun() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.stoppable(.bce), dataset, "\(directory.path)/run")
    let checkpoints = run.directory.checkpointsPath
    var isDamaged = false
    let failure = failure {
      _ = try run.train(
        on: SoloGroup(),
        beforeStep: {
          // In the second epoch.
          guard !isDamaged, Files.size(of: run.directory.metricsPath) ?? 0 > 0 else { return }
          isDamaged = true
          let deadline = ContinuousClock.now + .seconds(60)
          while !Files.exists("\(checkpoints)/latest"), ContinuousClock.now < deadline {}
          try? Files.remove(checkpoints)
          try? Files.replace(checkpoints, with: [])
        })
    }
    #expect(failure?.kind == .inputOutput)
    #expect(failure?.message.contains(checkpoints) == true)
    #expect(!Files.exists(run.directory.resultPath))
  }
}
