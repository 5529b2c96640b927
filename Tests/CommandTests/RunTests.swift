import Foundation
import Storage
import TestSupport
import Testing

/// From nothing to figures, as the help shows it.
extension RankSuites {
  @Suite struct RunTests {
    @Test func theFilesOfARunAreThere() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        let outcome = try run(workspace.training("run"))
        let printed = try outcome.success()
        #expect(
          try names(in: target.path) == [
            "checkpoints", "configuration.json", "environment.json", "events", "metrics.jsonl",
            "result.json",
          ])
        #expect(try target.computedSHA256 == target.modelSHA256)
        #expect(try target.steps.count == 3)
        let events = try names(in: "\(target.path)/events")
        #expect(events.count == 1 && events[0].hasPrefix("events.out.tfevents."))

        let result = try json(try target.result)
        let keys: Set = [
          "method", "seed", "ranks", "best_epoch", "epochs", "rows_per_second", "valid", "test",
          "decisions", "model_sha256",
        ]
        #expect(keys.isSubset(of: result.keys))
        #expect(result["method"] as? String == "ig")
        #expect(result["seed"] as? Int == 1)
        #expect(result["ranks"] as? Int == 1)
        #expect(result["epochs"] as? Int == 3)
        let figures: Set = ["auc", "gauc", "log_loss", "ndcg@10", "mrr", "users"]
        for split in ["valid", "test"] {
          let metrics = try #require(result[split] as? [String: Any])
          #expect(figures.isSubset(of: metrics.keys))
          // It has learned something of a feed whose truth can be learned.
          #expect(try #require(metrics["auc"] as? Double) > 0.5)
        }
        let decisions = try #require(result["decisions"] as? [String: Int])
        #expect(Set(decisions.keys) == ["direct", "none", "inverse"])
        #expect(decisions.values.reduce(0, +) == result["steps"] as? Int)

        let lines = try target.metrics.map { try json($0) }
        #expect(lines.compactMap { $0["epoch"] as? Int } == [1, 2, 3])
        let best = try #require(result["best_epoch"] as? Int)
        let bestLine = try #require(lines.last { $0["is_best"] as? Bool == true })
        #expect(bestLine["epoch"] as? Int == best)
        #expect(bestLine["valid"] as? NSDictionary == result["valid"] as? NSDictionary)

        // Tables to the standard output, the rest with its rank to the other stream.
        #expect(
          printed.hasPrefix("split     AUC    GAUC  log loss  NDCG@10     MRR  users  rows\n"))
        #expect(printed.contains("\nbest epoch \(best) of 3, "))
        #expect(printed.hasSuffix("\nsha256 \(try target.modelSHA256)\n"))
        let log = outcome.standardError.split(separator: "\n")
        #expect(log.count == 4)
        for line in log {
          #expect(line.wholeMatch(of: #/\d\d:\d\d:\d\d rank 0 info: .+/#) != nil, "\(line)")
        }
        // No terminal, no progress bar.
        #expect(!outcome.standardError.contains("\r"))

        let environment = try json(text("\(target.path)/environment.json"))
        #expect(environment["ranks"] as? Int == 1)
        #expect(environment["mpi"] as? String == "none")
        #expect((environment["command"] as? [String])?.dropFirst().first == "train")
      }
    }

    @Test func columnsOfTablesAreAligned() throws {
      try Workspace.with { workspace in
        try run(workspace.training("run")).success()
        let tables = try [
          workspace.prepare(as: "again").success(),
          run(["evaluate", workspace.target("run").path, "--top-k", "5,100"]).success(),
        ]
        for table in tables {
          // Numbers end where their titles end.
          let lines = table.split(separator: "\n")
          let title = try #require(lines.first)
          let ends = title.matches(of: #/\S+(?: \S+)*/#).dropFirst()
            .map { title.distance(from: title.startIndex, to: $0.range.upperBound) }
          let rows = lines.dropFirst().prefix { $0.contains("  ") }
          #expect(!rows.isEmpty)
          for row in rows {
            #expect(row.count == ends.last)
            for end in ends.dropLast() {
              let characters = Array(row)
              #expect(characters[end] == " " && characters[end - 1] != " ", "\(table)")
            }
          }
        }
      }
    }

    @Test func evaluationRepeatsTheFigures() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let result = try json(try target.result)
        for split in ["valid", "test"] {
          let arguments = ["evaluate", target.path, "--split", split]
          let output = try json(try run(arguments + ["--json"]).success())
          #expect(output["metrics"] as? NSDictionary == result[split] as? NSDictionary)
          #expect(output["model_sha256"] as? String == result["model_sha256"] as? String)
          let figures = try #require(result[split] as? [String: Double])
          let table = try run(arguments).success()
          for name in ["auc", "gauc", "log_loss", "ndcg@10", "mrr"] {
            let figure = String(format: "%.4f", try #require(figures[name]))
            #expect(table.contains(" \(figure)"))
          }
        }
      }
    }

    @Test func evaluationPrintsTheSameOnManyRanks() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let arguments = [
          "evaluate", target.path, "--top-k", "1,10", "--truth", "\(workspace.feed)/truth.tsv",
        ]
        for more in [[], ["--json"]] {
          let alone = try run(arguments + more).success()
          #expect(try run(arguments + more, ranks: 3).success() == alone)
        }
      }
    }

    /// A dataset that moved is found with an option, and another one is refused.
    @Test func evaluationWantsItsDataset() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let before = try run(["evaluate", target.path]).success()
        let moved = "\(workspace.path)/moved"
        try FileManager.default.moveItem(atPath: workspace.data, toPath: moved)
        try run(["evaluate", target.path]).expectFailure(.data, workspace.data, "dataset.json")
        #expect(try run(["evaluate", target.path, "--dataset", moved]).success() == before)
        let other = "\(workspace.path)/other"
        try workspace.prepare(as: "other", shards: 8).success()
        try run(["evaluate", target.path, "--dataset", other])
          .expectFailure(.data, "\(other) is not the dataset that \(target.path) was trained on")
      }
    }

    @Test func onlyRunsCanBeEvaluated() throws {
      try Workspace.with { workspace in
        let none = "\(workspace.path)/none"
        try run(["evaluate", none]).expectFailure(.data, "\(none) is not a run directory")
        try run(["evaluate", workspace.data]).expectFailure(.data, "is not a run directory")
        try run(["evaluate", none], ranks: 3).expectFailure(.data, "\(none) is not a run directory")
      }
    }
  }
}
