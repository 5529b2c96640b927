import Foundation
import Storage
import TestSupport
import Testing

/// A directory with a simulated feed and the dataset made from it.
struct Workspace {
  let path: String

  /// The dataset.
  var data: String { "\(path)/data" }
  /// The logs it was made from.
  var feed: String { "\(path)/feed" }

  /// Gives `body` a prepared dataset in a directory that is removed afterwards.
  ///
  /// About 2,200 labeled rows of 300 users and 200 items: trained within milliseconds.
  static func with<T>(
    shards: Int = 16, interactions: Int = 12_000, _ body: (Workspace) throws -> T
  ) throws -> T {
    try withTemporaryDirectory { path in
      let workspace = Workspace(path: path)
      try run([
        "synthesize", workspace.feed, "--users", "300", "--items", "200", "--interactions",
        "\(interactions)", "--label-fraction", "0.3",
      ]).success()
      try workspace.prepare(shards: shards).success()
      return try body(workspace)
    }
  }

  /// Makes the dataset once more, under another name.
  func prepare(
    as name: String = "data", shards: Int = 16, _ more: [String] = []
  ) throws -> RunningProcess.Outcome {
    try run(
      [
        "prepare", "\(path)/\(name)", "--shards", "\(shards)", "--train", "\(feed)/train.tsv",
        "--valid", "\(feed)/valid.tsv", "--test", "\(feed)/test.tsv",
      ] + more)
  }

  /// Candidate lists: each positive row of test among some items of the feed.
  func lists() throws -> String {
    let lines = try text("\(feed)/test.tsv").split(separator: "\n").map {
      $0.split(separator: "\t")
    }
    let items = lines.prefix(12).map { $0[1] }
    let cases = lines.filter { $0.count > 2 && $0[2] == "5" }.map { line in
      "(\(line[0]),\(line[1]))\t" + items.joined(separator: "\t") + "\n"
    }
    return try write(cases.joined(), to: "\(path)/lists")
  }

  /// What to pass to train into the run `name`.
  func training(_ name: String, _ more: [String] = []) -> [String] {
    ["train", data, "--output", "\(path)/\(name)", "--batch", "256", "--epochs", "3"] + more
  }

  func target(_ name: String) -> Run { Run(path: "\(path)/\(name)") }
}

/// The files of a run.
struct Run {
  let path: String

  var result: String { get throws { try text("\(path)/result.json") } }
  var metrics: [String] {
    get throws {
      try text("\(path)/metrics.jsonl").split(separator: "\n").map(String.init)
    }
  }
  var checkpoints: String { "\(path)/checkpoints" }
  var best: String { "\(checkpoints)/best" }

  /// The step checkpoints, oldest first.
  var steps: [String] {
    get throws { try names(in: checkpoints).filter { $0.hasPrefix("step-") } }
  }

  /// The epoch, from 0, in which the newest checkpoint goes on.
  var checkpointedEpoch: Int {
    get throws {
      let state = try text("\(checkpoints)/\(#require(steps.last))/state.json")
      return try #require(try json(state)["epoch"] as? Int)
    }
  }

  /// The digest that the run reports.
  var modelSHA256: String {
    get throws { try #require(try json(try result)["model_sha256"] as? String) }
  }

  /// The digest of the model's file.
  var computedSHA256: String {
    get throws {
      unsafe try bytes("\(best)/model.safetensors").withUnsafeBytes {
        unsafe SHA256.hexadecimal(of: $0)
      }
    }
  }

  /// Everything a run says about its model: two runs with the same identity learned the same. What
  /// depends on the clock and on the number of ranks is left out.
  var identity: [String] {
    get throws {
      #expect(try computedSHA256 == modelSHA256)
      let clock: Set = ["rows_per_second", "seconds", "phases", "ranks", "time"]
      return try [json(try result, without: clock)]
        + metrics.map { try json($0, without: clock) }
    }
  }
}
