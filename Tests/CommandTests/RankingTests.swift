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

    /// Candidates are drawn and files are read alike on any number of ranks, wherever rows live.
    @Test(arguments: ["replicated", "sharded"])
    func candidatesAreTheSameOnAnyRanks(tables: String) throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run", ["--biases", "--tables", tables])).success()
        let lists = try workspace.lists()
        for arguments in [
          ["--protocol", "sampled", "--candidates", "20"],
          ["--protocol", "lists", "--lists", lists],
        ] {
          for more in [[], ["--json"]] {
            let all = ["evaluate", target.path, "--top-k", "5,1"] + arguments + more
            let alone = try run(all).success()
            for ranks in [1, 2, 3] {
              #expect(try run(all, ranks: ranks).success() == alone, "\(ranks) ranks")
            }
          }
        }
      }
    }

    @Test func tablesAndObjectsOfCandidatesSayTheSame() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let lists = try workspace.lists()
        let protocols = [
          ["--protocol", "sampled", "--candidates", "20", "--candidate-seed", "7"],
          ["--protocol", "lists", "--lists", lists],
        ]
        for arguments in protocols {
          let all = ["evaluate", target.path, "--top-k", "5"] + arguments
          let object = try json(try run(all + ["--json"]).success())
          let isSampled = arguments[1] == "sampled"
          #expect(object["protocol"] as? String == arguments[1])
          #expect(object["split"] as? String == (isSampled ? "test" : nil))
          #expect(object["mask"] as? String == (isSampled ? "train,valid" : nil))
          #expect(object["candidates"] as? Int == (isSampled ? 20 : nil))
          #expect(object["candidate_seed"] as? Int == (isSampled ? 7 : nil))
          #expect(object["lists"] as? String == (isSampled ? nil : lists))
          let metrics = try #require(object["metrics"] as? [String: Double])
          let keys =
            Self.names.map { "\($0)@5" } + ["mrr", "users", "relevant", "candidates", "ties"]
          #expect(Set(metrics.keys) == Set(keys))
          let lines = try run(all).success().split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
          }
          #expect(lines.first?.suffix(3) == ["users", "cases", "ties"])
          let figures = try (Self.names.map { "\($0)@5" } + ["mrr"]).map {
            String(format: "%.4f", try #require(metrics[$0]))
          }
          let counts = try ["users", "relevant", "ties"].map { "\(Int(try #require(metrics[$0])))" }
          #expect(lines.last == [isSampled ? "test" : "lists", "5"] + figures + counts)
        }
      }
    }

    @Test func whatCannotBeRankedIsOneLine() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let evaluate = ["evaluate", target.path, "--protocol"]
        for ranks in [nil, 2] {
          try run(evaluate + ["sampled", "--candidates", "200"], ranks: ranks)
            .expectFailure(.usage, "200 candidates beside the relevant item", "has 200 items")
        }
        let bad = try write("(nobody,9)\t1\n", to: "\(workspace.path)/bad")
        try run(evaluate + ["lists", "--lists", bad])
          .expectFailure(.data, "\(bad):1: the user 'nobody' is not in the dataset")
        let empty = try write("", to: "\(workspace.path)/empty")
        try run(evaluate + ["lists", "--lists", empty])
          .expectFailure(.data, "\(empty): the file is empty")
        try run(evaluate + ["lists", "--lists", "\(workspace.path)/absent"])
          .expectFailure(.inputOutput, "absent")
      }
    }

    /// Training by a ranking figure, with a curve on test, on one rank and on two.
    @Test func trainingIsJudgedByRankings() throws {
      try Workspace.with { workspace in
        let options = [
          "--select", "hit-rate@5", "--select-protocol", "sampled", "--evaluate-every", "2",
          "--epochs", "5", "--report-test", "lists", "--lists", try workspace.lists(),
        ]
        let output = try run(workspace.training("one", options)).success()
        let header = output.split(separator: "\n").first { $0.contains("hit rate") }
        #expect(header?.contains("cases") == true)
        try run(workspace.training("two", options), ranks: 2).success()
        let (one, two) = (workspace.target("one"), workspace.target("two"))
        #expect(try one.identity == two.identity)
        let lines = try one.metrics.map { try json($0) }
        #expect(lines.map { $0["valid"] == nil } == [true, false, true, false, true])
        for line in lines where line["valid"] != nil {
          let ranking = try #require(
            (line["valid"] as? [String: Any])?["ranking"] as? [String: Any])
          #expect(ranking["protocol"] as? String == "sampled")
          let test = try #require((line["test"] as? [String: Any])?["ranking"] as? [String: Any])
          #expect(test["protocol"] as? String == "lists" && test["mask"] == nil)
        }
        try run(workspace.training("one", options + ["--resume", "--select", "auc"]))
          .expectFailure(.usage, "--select hit-rate@5, not auc")
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
    (["--mask", "train"], "--mask is about rankings; add --protocol full or sampled"),
    (["--candidates", "5"], "--candidates and --candidate-seed need --protocol sampled"),
    (
      ["--protocol", "full", "--candidate-seed", "5"],
      "--candidates and --candidate-seed need --protocol sampled"
    ),
    (["--protocol", "sampled", "--candidates", "0"], "--candidates 0: must be at least 1"),
    (["--protocol", "sampled", "--lists", "y"], "--lists needs --protocol lists"),
    (["--protocol", "lists"], "--protocol lists needs --lists FILE"),
    (
      ["--protocol", "lists", "--lists", "y", "--split", "valid"],
      "--split valid: the file of --lists says what is judged"
    ),
    (["--protocol", "lists", "--lists", "y", "--mask", "train"], "--mask is about rankings"),
    (["--protocol", "sampled", "--truth", "y"], "leave out --protocol sampled"),
    (["--protocol", "sampled", "--top-k", "10001"], "--top-k 10001: must be at most 10000"),
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
