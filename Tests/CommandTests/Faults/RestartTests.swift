import Foundation
import Storage
import TestSupport
import Testing

/// `launch/run.sh --restart N`.
extension RankSuites {
  @Suite struct RestartTests {
    private static let script: String = {
      var url = URL(fileURLWithPath: #filePath)
      for _ in 0..<4 { url.deleteLastPathComponent() }
      return url.appendingPathComponent("launch/run.sh").path
    }()

    /// Starts the script with `program` in the place of ours.
    private func start(
      _ arguments: [String], program: String = inverse, pause: String = "0"
    ) throws -> RunningProcess {
      try RunningProcess(
        "bash", [Self.script] + arguments,
        environment: patience.merging(
          ["INVERSE": program, "INVERSE_RESTART_PAUSE": pause]
        ) { $1 })
    }

    /// Kills a rank of the job twice; the third start ends in the undisturbed run's bytes.
    @Test func aKilledJobStartsAgain() throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        let options = ["--epochs", "80", "--batch", "64", "--patience", "0"]
        let arguments =
          ["--restart", "3", "2", "train", workspace.data, "--output", target.path] + options
          + ["--checkpoint-every", "20"]
        let job = try start(arguments)
        for kills in 1...2 {
          try #require(
            job.waitForError(kills == 1 ? "epoch 2/" : "resuming"), "\(job.standardError)")
          let rank = ProcessTree.processes(withArgument: target.path).last {
            ProcessTree.childProcesses(of: $0).isEmpty
          }
          kill(try #require(rank), SIGKILL)
          try #require(job.waitForError("restart \(kills) of 3 in 0 s"), "\(job.standardError)")
        }
        let outcome = job.wait(deadline: 120)
        #expect(outcome.status == 0, "\(outcome.standardError)")
        try run(
          ["train", workspace.data, "--output", workspace.target("whole").path] + options
        ).success()
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }

    /// A program that fails always is given up with its last error and its code.
    @Test func aJobThatFailsAlwaysIsGivenUp() throws {
      try withTemporaryDirectory { path in
        let program = try write(
          "#!/bin/sh\necho \"inverse: error: no disk\" >&2\nexit 74\n", to: "\(path)/program")
        unsafe chmod(program, 0o755)
        let outcome = try start(
          ["--restart", "2", "1", "train", "data", "--output", "run"], program: program
        ).wait()
        #expect(outcome.status == 74)
        let attempts = outcome.errors.filter { $0 == "no disk" }
        #expect(attempts.count == 3)
        #expect(outcome.errors.last?.contains("failed 3 times, the last time with code 74") == true)
      }
    }

    /// What another start cannot mend is not tried again.
    @Test func wrongUsageAndBadDataFailOnce() throws {
      try Workspace.with { workspace in
        let usage = try start(
          ["--restart", "2", "2", "train", workspace.data, "--output", "x", "--factors", "0"]
        ).wait()
        #expect(usage.status == Failure.Kind.usage.rawValue)
        #expect(!usage.standardError.contains("restart"))
        let data = try start(
          ["--restart", "2", "2", "train", workspace.feed, "--output", "x"]
        ).wait()
        #expect(data.status == Failure.Kind.data.rawValue, "\(data.standardError)")
        #expect(!data.standardError.contains("restart"))
      }
    }

    /// A scheduler's warning reaches the ranks, and the script does not start what it stopped.
    @Test(arguments: [SIGTERM, SIGINT, SIGUSR1])
    func aRequestToStopIsObeyed(signal: Int32) throws {
      try Workspace.with { workspace in
        let arguments = ["2"] + ResumeTests.arguments(workspace, "run")
        let job = try start(["--restart", "3"] + arguments)
        try #require(job.waitForError("epoch 2/"), "\(job.standardError)")
        job.terminate(signal)
        let outcome = job.wait(deadline: 20)
        #expect(outcome.status == Failure.Kind.interrupted.rawValue, "\(outcome.standardError)")
        #expect(!outcome.standardError.contains("restart"))
        try ResumeTests.expectResumed(workspace, "run", ranks: 3)
      }
    }

    @Test(arguments: [
      ["--restart", "2", "evaluate", "run"], ["--restart", "x", "2", "train"], ["x", "train"], [],
    ])
    func wrongUsageOfTheScript(arguments: [String]) throws {
      let outcome = try start(arguments).wait()
      #expect(outcome.status == 64)
      #expect(outcome.standardError.hasPrefix("usage: "))
    }
  }
}
