import Foundation
import Storage
import TestSupport
import Testing

/// Full rankings from outside.
extension RankSuites {
  @Suite struct RankingTests {
    private static let names = ["recall", "ndcg", "hit_rate", "precision", "map"]

    /// The same text and the same digits on any number of ranks, wherever the rows live.
    @Test(arguments: ["replicated", "sharded"])
    func rankingsAreTheSameOnAnyRanks(tables: String) throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run", ["--biases", "--tables", tables])).success()
        let arguments = ["evaluate", target.path, "--protocol", "full", "--top-k", "20,5"]
        for more in [[], ["--json"]] {
          let alone = try run(arguments + more).success()
          for ranks in [1, 2, 3] {
            #expect(try run(arguments + more, ranks: ranks).success() == alone, "\(ranks) ranks")
          }
        }
      }
    }

    @Test func tableAndObjectSayTheSame() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let arguments = ["evaluate", target.path, "--protocol", "full", "--top-k", "5,100"]
        let object = try json(try run(arguments + ["--json"]).success())
        #expect(object["protocol"] as? String == "full")
        #expect(object["split"] as? String == "test")
        #expect(object["mask"] as? String == "train,valid")
        #expect(object["model_sha256"] as? String == (try target.modelSHA256))
        let metrics = try #require(object["metrics"] as? [String: Double])
        let keys = Self.names.flatMap { ["\($0)@5", "\($0)@100"] } + ["mrr", "users", "relevant"]
        #expect(Set(metrics.keys) == Set(keys))
        #expect(metrics.values.allSatisfy { $0 > 0 })

        let lines = try run(arguments).success().split(separator: "\n").map {
          $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
        }
        #expect(
          lines.first == [
            "split", "k", "recall", "NDCG", "hit", "rate", "precision", "MAP", "MRR", "users",
            "relevant",
          ])
        #expect(lines.count == 3)
        for (line, cutoff) in zip(lines.dropFirst(), [5, 100]) {
          let figures = try (Self.names.map { "\($0)@\(cutoff)" } + ["mrr"]).map {
            String(format: "%.4f", try #require(metrics[$0]))
          }
          let counts = try ["users", "relevant"].map { "\(Int(try #require(metrics[$0])))" }
          #expect(line == ["test", "\(cutoff)"] + figures + counts)
        }
      }
    }

    /// Without --mask, what a user met before the split was made is left out.
    @Test func masksHaveDefaults() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        func output(_ more: [String]) throws -> String {
          try run(["evaluate", target.path, "--protocol", "full", "--json"] + more).success()
        }
        let test = try output([])
        #expect(try output(["--mask", "train,valid"]) == test)
        #expect(try output(["--mask", "train"]) != test)
        let valid = try output(["--split", "valid"])
        #expect(try output(["--split", "valid", "--mask", "train"]) == valid)
        #expect(try output(["--split", "valid", "--mask", "none"]) != valid)
      }
    }

    /// The labels of a split stay the default, as they were.
    @Test func labeledIsTheDefault() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        for more in [[], ["--json"]] {
          let plain = try run(["evaluate", target.path] + more).success()
          #expect(
            try run(["evaluate", target.path, "--protocol", "labeled"] + more).success() == plain)
        }
      }
    }
  }
}

/// Options that mean nothing together are one line of wrong usage.
@Suite struct RankingMistakeTests {
  @Test(arguments: [
    (["--protocol", "sorted"], "'sorted' is invalid for '--protocol <protocol>'"),
    (["--mask", "train"], "--mask is about rankings of all items; add --protocol full"),
    (["--protocol", "full", "--mask", "test"], "'test' is invalid for '--mask <splits>'"),
    (["--protocol", "full", "--truth", "y"], "--truth judges labels, not rankings"),
    (
      ["--protocol", "full", "--split", "valid", "--mask", "train,valid"],
      "--mask train,valid hides the rows that --split valid judges by"
    ),
    (["--protocol", "full", "--top-k", "10,10001"], "--top-k 10,10001: must be at most 10000"),
    (["--protocol", "full", "--top-k", "0"], "--top-k 0: expected whole numbers"),
  ])
  func mistakesAreWrongUsage(arguments: [String], message: String) throws {
    try run(["evaluate", "x"] + arguments).expectFailure(.usage, message)
  }
}
