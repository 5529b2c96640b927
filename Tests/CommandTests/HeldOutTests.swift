import Foundation
import Storage
import TestSupport
import Testing

/// Datasets that the other formats and splits make, trained and judged.
@Suite struct HeldOutTests {
  /// 40 users with 6 items each of 30; valid and test are new to them.
  static let train = (0..<40).map { user in
    "\(user) " + (0..<6).map { "\((user + $0 * 5) % 30)" }.joined(separator: " ")
  }.joined(separator: "\n")
  static let test = (0..<40).map { "\($0) \(($0 + 1) % 30) \(($0 + 2) % 30)" }.joined(
    separator: "\n")

  @Test func withoutValidTheLastEpochIsTheBest() throws {
    try withTemporaryDirectory { path in
      let arguments = [
        "prepare", "\(path)/data", "--format", "adjacency", "--train",
        try write(Self.train, to: "\(path)/train.txt"), "--test",
        try write(Self.test, to: "\(path)/test.txt"),
      ]
      let printed = try run(arguments).success()
      #expect(printed.contains("\nno rows of valid: the last epoch will be the best\n"))
      // A patience of one epoch would end the run after the first if it counted.
      let training = [
        "train", "\(path)/data", "--method", "negatives", "--epochs", "4", "--patience", "1",
        "--output",
      ]
      let outcome = try run(training + ["\(path)/run"])
      try outcome.success()
      #expect(outcome.standardError.contains("no rows of valid to choose by: the last epoch"))
      let result = try json(text("\(path)/run/result.json"))
      #expect(result["best_epoch"] as? Int == 4)
      #expect(result["epochs"] as? Int == 4)
      let judged = [
        "evaluate", "\(path)/run", "--protocol", "full", "--top-k", "5", "--json",
      ]
      let figures = try json(try run(judged).success())
      #expect((figures["metrics"] as? [String: Any])?["recall@5"] as? Double != nil)
    }
  }

  @Test func leaveOneOutIsTrainedAndJudged() throws {
    try withTemporaryDirectory { path in
      let log = try write(
        (0..<40).flatMap { user in (0..<6).map { "\(user) \((user + $0 * 5) % 30)\n" } }.joined(),
        to: "\(path)/log.txt")
      let printed = try run([
        "prepare", "\(path)/data", "--interactions", log, "--unrated", "positive", "--split",
        "leave-one-out", "--shards", "2",
      ]).success()
      let rows = printed.split(separator: "\n").map {
        $0.split(separator: " ").prefix(2).joined(separator: " ")
      }
      #expect(rows[1...3] == ["train 160", "valid 40", "test 40"])
      #expect(exists("\(path)/data/shards/0001/sequence.items"))
      try run([
        "train", "\(path)/data", "--output", "\(path)/run", "--method", "negatives", "--epochs",
        "1",
      ]).success()
    }
  }

  @Test func splitsThatCannotBeAreRefused() throws {
    try run(["prepare", "x", "--train", "a", "--test", "b", "--split", "leave-one-out"])
      .expectFailure(.usage, "--split needs --interactions")
    try run(["prepare", "x", "--train", "a", "--valid", "b"])
      .expectFailure(.usage, "only --valid may be absent")
    try run(["prepare", "x", "--interactions", "a", "--split", "latest"])
      .expectFailure(.usage, "--split latest: expected three numbers", "or leave-one-out")
  }
}
