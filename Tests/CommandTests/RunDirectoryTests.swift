import Foundation
import Storage
import TestSupport
import Testing

/// Runs that must not start, or must not go on.
extension RankSuites {
  @Suite struct RunDirectoryTests {
    @Test func aRunIsNotOverwritten() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let before = try target.result
        let message = "\(target.path) already holds a run or other files; add --resume"
        try run(workspace.training("run")).expectFailure(.usage, message)
        try run(workspace.training("run"), ranks: 3).expectFailure(.usage, message)
        #expect(try target.result == before)
        // Nor is anything else.
        try run(workspace.training("feed")).expectFailure(.usage, "already holds a run or other")
      }
    }

    @Test func aRunGoesOnAsItWasStarted() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        let before = try target.result
        for (option, then, now) in [
          ("rate", "0.002", "0.003"), ("method", "ig", "bce"), ("factors", "32", "16"),
          ("seed", "1", "2"), ("batch", "256", "128"), ("inner-step", "sign", "gradient"),
        ] {
          let arguments = workspace.training("run", ["--resume", "--\(option)", now])
          let message = "\(target.path) was started with --\(option) \(then), not \(now)"
          for ranks in option == "rate" ? [nil, 3] : [nil] {
            try run(arguments, ranks: ranks).expectFailure(.usage, message)
          }
        }
        try run(workspace.training("run", ["--resume", "--biases"]))
          .expectFailure(.usage, "was started with --biases false, not true")
        try workspace.prepare(as: "other", shards: 8).success()
        for ranks in [nil, 2] {
          try run(
            [
              "train", "\(workspace.path)/other", "--output", target.path, "--batch", "256",
              "--resume",
            ], ranks: ranks
          ).expectFailure(.data, "\(target.path) was trained on \(workspace.data)")
        }
        #expect(try target.result == before)
      }
    }

    @Test func moreRanksThanShardsAreRefused() throws {
      try Workspace.with(shards: 2) { workspace in
        let message = "3 ranks but \(workspace.data) has 2 shards: start at most 2 ranks"
        try run(workspace.training("run"), ranks: 3).expectFailure(.usage, message)
        #expect(!exists(workspace.target("run").path))
        try run(workspace.training("run"), ranks: 2).success()
        try run(["evaluate", workspace.target("run").path], ranks: 3).expectFailure(.usage, message)
      }
    }

    /// A mistake is told once, whatever the number of ranks, and whichever of them is the fastest.
    @Test(arguments: [["--bogus"], ["--rate", "0"], ["--config", "none.yaml"]])
    func mistakesAreToldOnce(mistake: [String]) throws {
      try withTemporaryDirectory { path in
        let outcome = try run(["train", path, "--output", "\(path)/run"] + mistake, ranks: 4)
        outcome.expectFailure(mistake[0] == "--config" ? .inputOutput : .usage)
        #expect(try names(in: path).isEmpty)
      }
    }

    /// Several processes would write the same files at the same time.
    @Test func datasetsAreTheWorkOfOneProcess() throws {
      try withTemporaryDirectory { path in
        try run(["synthesize", "\(path)/feed"], ranks: 2)
          .expectFailure(.usage, "synthesize is the work of one process, not of 2")
        try run(["prepare", "\(path)/data", "--interactions", "log"], ranks: 2)
          .expectFailure(.usage, "prepare is the work of one process, not of 2")
        #expect(try names(in: path).isEmpty)
      }
    }

    /// The launcher of another MPI library would start the same run twice.
    @Test func theWrongLauncherIsNoticed() throws {
      try Workspace.with { workspace in
        try run(workspace.training("run"), environment: ["OMPI_COMM_WORLD_SIZE": "2"])
          .expectFailure(
            .usage, "the launcher announced 2 ranks (OMPI_COMM_WORLD_SIZE=2) but MPI sees 1",
            "mpirun of the MPI library")
        #expect(!exists(workspace.target("run").path))
      }
    }

    @Test func aLossThatIsNoNumberEndsTheRun() throws {
      try Workspace.with { workspace in
        for (name, ranks) in [("alone", nil), ("many", 3 as Int?)] {
          let arguments = workspace.training(name, ["--rate", "1e30", "--optimizer", "sgd"])
          try run(arguments, ranks: ranks)
            .expectFailure(.software, "the loss is ", "in epoch 1, step ", "lower --rate")
          #expect(!exists("\(workspace.target(name).path)/result.json"))
        }
      }
    }
  }
}
