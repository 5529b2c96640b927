import Interactions
import Storage
import Testing
import Training

/// A backbone with dense layers fits the protocol and keeps the promise.
@Suite struct PerceptronTests {
  @Test(arguments: Method.allCases) func denseLayersGiveTheSameFilesOnAnyRanks(
    method: Method
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let run = TrainingRun(.brief(method), dataset, "\(directory.path)/run") {
      Perceptron(factors: 8, hidden: 16)
    }
    let alone = try run.outcome(ranks: 1, as: "alone")
    for ranks in [2, 3, 4] {
      for placement in Placement.all(ranks: ranks) {
        let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
      }
    }
  }

  @Test func itResumesToo() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.brief(.ig), dataset, "\(directory.path)/run") {
      Perceptron(factors: 8, hidden: 8)
    }
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    #expect(failure { try run.train(ranks: 3, stopAfter: 4) }?.kind == .interrupted)
    let results = try run.train(ranks: 2, isResuming: true)
    #expect(
      try Outcome(run, result: results[0], others: results).differences(from: undisturbed) == [])
  }
}
