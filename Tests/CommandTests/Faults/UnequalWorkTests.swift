import Foundation
import TestSupport
import Testing

/// Ranks whose work differs as much as it can.
extension RankSuites {
  @Suite struct UnequalWorkTests {
    /// Trains one log on 1, 2, 3 and `shards` ranks and expects the same of all. What is judged are
    /// two more items of the first user.
    private func expectParity(
      _ log: String, shards: Int, _ options: [String], in path: String
    ) throws {
      try write(log, to: "\(path)/train.tsv")
      try write("anna\tvalid-1\t5\nanna\tvalid-2\t1\n", to: "\(path)/valid.tsv")
      try write("anna\ttest-1\t5\nanna\ttest-2\t1\n", to: "\(path)/test.tsv")
      try run([
        "prepare", "\(path)/data", "--train", "\(path)/train.tsv", "--valid", "\(path)/valid.tsv",
        "--test", "\(path)/test.tsv", "--shards", "\(shards)",
      ]).success()
      func train(_ name: String, _ more: [String], ranks: Int?) throws -> [String] {
        let arguments =
          ["train", "\(path)/data", "--output", "\(path)/\(name)", "--batch", "32"]
          + ["--epochs", "3", "--checkpoint-every", "2"] + options + more
        try run(arguments, ranks: ranks).success()
        return try Run(path: "\(path)/\(name)").identity
      }
      let expected = try train("alone", [], ranks: nil)
      for (ranks, tables) in [(1, "replicated"), (2, "sharded"), (3, "replicated")] {
        #expect(try train("\(ranks)", ["--tables", tables], ranks: ranks) == expected)
      }
      #expect(try train("all", [], ranks: shards) == expected)
    }

    /// One user in four shards: three ranks have no rows at all, and no items of their own users.
    @Test(arguments: ["bce", "negatives", "idl", "ig", "t-ce", "bpr"])
    func ranksWithoutRows(method: String) throws {
      try withTemporaryDirectory { path in
        let log = (0..<9).map { "anna\titem-\($0)\t\($0 % 5 + 1)\n" }.joined()
        try expectParity(log, shards: 4, ["--method", method], in: path)
      }
    }

    /// One user holds half of the log.
    @Test(arguments: ["bce", "ig"])
    func oneUserWithHalfOfTheLog(method: String) throws {
      try withTemporaryDirectory { path in
        var log = ""
        for item in 0..<400 { log += "anna\titem-\(item)\t\(item * 7 % 5 + 1)\n" }
        for user in 0..<100 {
          for item in 0..<4 { log += "user-\(user)\titem-\(user * 4 + item)\t\(item + 2)\n" }
        }
        try expectParity(log, shards: 8, ["--method", method, "--biases"], in: path)
      }
    }
  }
}
