import Foundation
import Storage
import Testing
import Training

/// What stands in the files of a run must be what a run can have come to.
@Suite struct HostileStateTests {
  /// The state after 3 steps of the third epoch of 5 steps, as its file holds it.
  private func state() throws -> [String: Any] {
    var state = TrainingState(TrainingConfiguration(), datasetFingerprint: "f")
    state.epoch = 2
    state.step = 3
    state.number = 13
    var object = try #require(
      try JSONSerialization.jsonObject(
        with: Data(try RunDirectory.encode(state, pretty: false))) as? [String: Any])
    let decisions = ["direct": 0, "none": 0, "inverse": 0]
    object["history"] = (1...2).map { epoch -> [String: Any] in
      [
        "epoch": epoch, "step": 5 * epoch, "decisions": decisions, "is_best": true, "time": 1.5,
        "rows_per_second": 2.5,
      ]
    }
    return object
  }

  private func refusal(_ change: (inout [String: Any]) -> Void) throws -> Failure? {
    var object = try state()
    change(&object)
    let bytes = [UInt8](try JSONSerialization.data(withJSONObject: object))
    let state: TrainingState = try RunDirectory.decode(bytes, "state.json")
    return failure { try state.check("state.json", stepsPerEpoch: 5) }
  }

  @Test func anHonestStateIsAccepted() throws {
    #expect(try refusal { _ in } == nil)
    #expect(
      try refusal { $0["best"] = ["criterion": "auc", "sinceBest": 1, "epoch": 1, "value": 0.5] }
        == nil)
  }

  @Test(arguments: [
    "epoch", "step", "number", "labeledRows", "unlabeledRows", "rowsDone",
  ])
  func countsThatOverflowAreRefused(key: String) throws {
    for value in [-1, Int.min, Int.max] {
      let failure = try #require(try refusal { $0[key] = value })
      #expect(failure.kind == .data)
      #expect(failure.message == "state.json: \(key) is \(value); no run comes to that")
    }
  }

  @Test func placesThatDoNotFitAreRefused() throws {
    let cases: [(String, Any, String)] = [
      ("step", 6, "13 steps are done after step 6 of epoch 3; an epoch of this run has 5 steps"),
      ("number", 12, "12 steps are done after step 3 of epoch 3"),
      ("epoch", 1 << 47, "an epoch of this run has 5 steps"),
      ("history", [Any](), "the history does not fit epoch 3"),
      // The epoch whose record is looked up at the end.
      ("best", ["criterion": "auc", "sinceBest": 0, "epoch": 3], "does not fit epoch 3"),
      ("best", ["criterion": "auc", "sinceBest": 0, "epoch": 0], "does not fit epoch 3"),
      ("best", ["criterion": "gauc", "sinceBest": 0], "does not fit epoch 3"),
      ("best", ["criterion": "auc", "sinceBest": Int.max], "best.sinceBest is"),
      ("decisions", ["direct": Int.max, "none": 0, "inverse": 0], "decisions is"),
    ]
    for (key, value, reason) in cases {
      let failure = try #require(try refusal { $0[key] = value }, "\(key) \(value)")
      #expect(failure.kind == .data)
      #expect(failure.message.contains(reason), "\(failure)")
    }
  }

  /// Sizes that would trap, or ask for all memory, before any tensor is looked at.
  @Test(arguments: [("factors", 1 << 62), ("factors", 0), ("batch", -1), ("layers", 1)])
  func aConfigurationThatCannotBeMeantIsRefused(key: String, value: Int) throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path)
    let setup = RunDirectory.Setup(
      dataset: "data", datasetFingerprint: "f", training: TrainingConfiguration())
    var object = try #require(
      try JSONSerialization.jsonObject(
        with: Data(try RunDirectory.encode(setup, pretty: false))) as? [String: Any])
    var training = try #require(object["training"] as? [String: Any])
    training[key] = value
    object["training"] = training
    try JSONSerialization.data(withJSONObject: object)
      .write(to: URL(fileURLWithPath: run.configurationPath))
    let failure = try #require(failure { _ = try run.setup() })
    #expect(failure.kind == .data)
    #expect(failure.message.hasPrefix("\(run.configurationPath): --\(key) \(value): "))
  }
}
