import Foundation
import Storage
import TestSupport
import Testing

/// Inputs beyond all measure end in figures or in an error, never in figures that are no numbers.
extension RankSuites {
  @Suite struct ExtremeInputTests {
    static let methods = ["bce", "negatives", "idl", "ig", "t-ce", "r-ce", "bpr"]

    /// Either all figures are numbers, or the run ended with one line and says where.
    private func expectFigures(_ outcome: RunningProcess.Outcome, _ what: String) {
      #expect(!outcome.timedOut)
      if outcome.status == 0 {
        let words = outcome.standardOutput.lowercased().split { !$0.isLetter }
        #expect(!words.contains("nan") && !words.contains("inf"), "\(what)")
      } else {
        outcome.expectFailure(.software, " in epoch ", ", step ")
      }
    }

    @Test(arguments: methods) func aRateOfAThousand(method: String) throws {
      try Workspace.with(shards: 4) { workspace in
        for optimizer in ["adam", "sgd", "adagrad", "rowwise-adagrad"] {
          let options = ["--method", method, "--rate", "1e3", "--optimizer", optimizer]
          let target = workspace.target(optimizer)
          let outcome = try run(workspace.training(optimizer, options))
          expectFigures(outcome, "\(method) \(optimizer)")
          if outcome.status == 0 {
            for line in try target.metrics { #expect(try json(line)["labeled_loss"] is Double) }
          }
        }
      }
    }

    @Test func decaysAndInitialValuesBeyondMeasure() throws {
      try Workspace.with(shards: 4) { workspace in
        for (name, options) in [
          ("decay", ["--weight-decay", "1e30"]), ("deviation", ["--initial-deviation", "1e30"]),
          ("row-decay", ["--row-decay", "1e30"]), ("inner", ["--inner-rate", "1e30"]),
        ] {
          expectFigures(try run(workspace.training(name, options)), name)
        }
        for option in ["rate", "weight-decay", "initial-deviation"] {
          try run(workspace.training("none", ["--\(option)", "1e300"])).expectFailure(
            .usage, "--\(option) 1e+300: must be at most 3.4e+38")
        }
        // Scores overflow at once, and the line names a pair.
        try run(workspace.training("pair", ["--initial-deviation", "1e30"]), ranks: 2)
          .expectFailure(
            .software, "the loss is not a finite number in epoch 1, step 1: the score of user '")
      }
    }

    /// A number is compared with `--positive-from` and stored as its label; what is no number is
    /// refused.
    @Test func ratingsBeyondMeasure() throws {
      try withTemporaryDirectory { path in
        let train = "u1\ti1\t1e30\nu1\ti2\t-1e30\nu2\ti1\t1e308\nu2\ti3\t1e-320\n"
        let arguments = [
          "prepare", "\(path)/data", "--shards", "2", "--train",
          try write(train, to: "\(path)/train"), "--test",
          try write("u1\ti3\t1e30\nu2\ti2\t-1e30\n", to: "\(path)/test"),
        ]
        try run(arguments).success()
        try run(["train", "\(path)/data", "--output", "\(path)/run", "--epochs", "2"]).success()
        let metrics = try text("\(path)/run/metrics.jsonl")
        #expect(metrics.split(separator: "\n").count == 2)
        for (rating, reason) in [
          ("nan", "rating 'nan' is not finite"), ("inf", "rating 'inf' is not finite"),
          ("-Infinity", "rating '-Infinity' is not finite"),
          ("1e400", "rating '1e400' is not finite"),
        ] {
          try write("u1\ti1\t3\nu2\ti2\t\(rating)\n", to: "\(path)/train")
          try Files.remove("\(path)/data")
          try run(arguments).expectFailure(.data, "\(path)/train:2: ", reason)
        }
      }
    }

    /// Left out and counted: in the log, the records and the result.
    @Test(arguments: [nil, 2] as [Int?]) func stepsThatAreLeftOutAreCounted(ranks: Int?) throws {
      try Workspace.with(shards: 4) { workspace in
        // The first step overflows nothing; from then on every score does.
        let options = [
          "--rate", "1e25", "--optimizer", "sgd", "--on-nonfinite", "skip-step", "--epochs", "60",
          "--patience", "0",
        ]
        let outcome = try run(workspace.training("run", options), ranks: ranks)
        outcome.expectFailure(.software, "100 steps in a row were left out")
        let warnings = outcome.standardError.split(separator: "\n").filter {
          $0.contains(" warning: ")
        }
        #expect(warnings.count == 1, "\(outcome.standardError)")
        #expect(warnings.first?.contains(" warning: a step was left out, since ") == true)
      }
    }
  }
}
