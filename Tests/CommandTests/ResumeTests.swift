import Foundation
import Storage
import TestSupport
import Testing

/// A run that is stopped or killed, and resumed on any number of ranks, ends in the bytes of one
/// that never was.
extension RankSuites {
  @Suite struct ResumeTests {
    /// Arguments of a run that does not end by itself, so that no signal comes too late. The number
    /// of epochs decides nothing about those that are done.
    static func arguments(_ workspace: Workspace, _ name: String) -> [String] {
      [
        "train", workspace.data, "--output", workspace.target(name).path, "--epochs", "1000000",
        "--batch", "64", "--patience", "0", "--checkpoint-every", "5",
      ]
    }

    /// A line of the log to wait for, another for each `key`.
    static func mark(_ key: Int) -> String { "epoch \(1 + key * 40_503 % 7)/" }

    /// Resumes a stopped run for two more epochs and compares it with one that never stopped.
    static func expectResumed(_ workspace: Workspace, _ name: String, ranks: Int?) throws {
      let target = workspace.target(name)
      #expect(!exists("\(target.path)/result.json"))
      let epochs = ["--epochs", "\(try target.checkpointedEpoch + 2)"]
      let outcome = try run(arguments(workspace, name) + epochs + ["--resume"], ranks: ranks)
      try outcome.success()
      let message = #/resuming .* in epoch \d+ after step [1-9]\d*/#
      #expect(outcome.standardError.contains(message), "\(outcome.standardError)")
      try run(arguments(workspace, "\(name)-whole") + epochs).success()
      #expect(try target.identity == workspace.target("\(name)-whole").identity)
    }

    @Test func aStoppedProcessGoesOn() throws {
      try Workspace.with { workspace in
        for (key, signal) in [SIGTERM, SIGINT, SIGUSR1].enumerated() {
          let name = "stopped-\(key)"
          let process = try RunningProcess(inverse, Self.arguments(workspace, name))
          try #require(process.waitForError(Self.mark(key)), "\(process.standardError)")
          process.terminate(signal)
          process.wait().expectFailure(
            .interrupted, "stopped on request after step", "go on with --resume")
          try Self.expectResumed(workspace, name, ranks: key == 1 ? nil : 2)
        }
      }
    }

    /// What a scheduler does before it takes the machines away. SIGUSR1 goes through to the ranks
    /// and their exit code back; SIGTERM makes mpirun wait, ask the ranks to end, wait, and kill.
    @Test(arguments: [SIGUSR1, SIGTERM])
    func aStoppedJobGoesOn(signal: Int32) throws {
      try Workspace.with { workspace in
        let name = "stopped"
        let job = try RankLauncher.startMPI(
          ranks: 2, executable: inverse, arguments: Self.arguments(workspace, name),
          // Seconds of each of the two waits.
          environment: patience.merging(["OMPI_MCA_odls_base_sigkill_timeout": "4"]) { $1 })
        try #require(job.waitForError(Self.mark(3)), "\(job.standardError)")
        job.terminate(signal)
        let outcome = job.wait()
        #expect(!outcome.timedOut)
        if signal == SIGUSR1 { #expect(outcome.status == Failure.Kind.interrupted.rawValue) }
        #expect(outcome.status != 0)
        #expect(outcome.errors.count == 1, "\(outcome.standardError)")
        #expect(outcome.errors.first?.hasPrefix("stopped on request after step") == true)
        try Self.expectResumed(workspace, name, ranks: 3)
      }
    }

    @Test func aKilledRankEndsTheJobAndItGoesOn() throws {
      try Workspace.with { workspace in
        for (key, resumedRanks) in [nil, 1, 2, 4].enumerated() {
          let name = "killed-\(key)"
          let target = workspace.target(name)
          let job = try RankLauncher.startMPI(
            ranks: 3, executable: inverse, arguments: Self.arguments(workspace, name),
            environment: patience)
          try #require(job.waitForError(Self.mark(key)), "\(job.standardError)")
          let ranks = ProcessTree.childProcesses(of: job.pid)
          #expect(ranks.count == 3)
          kill(ranks[key % ranks.count], SIGKILL)
          let outcome = job.wait(deadline: 10)
          #expect(!outcome.timedOut)
          #expect(outcome.status != 0)
          #expect(ProcessTree.processes(withArgument: target.path).isEmpty)
          try Self.expectResumed(workspace, name, ranks: resumedRanks)
        }
      }
    }

    @Test func aFinishedRunIsLeftAlone() throws {
      try Workspace.with { workspace in
        let arguments = workspace.training("run")
        let printed = try run(arguments).success()
        let result = try workspace.target("run").result
        let outcome = try run(arguments + ["--resume"], ranks: 2)
        #expect(try outcome.success() == printed)
        #expect(outcome.standardError.contains("is finished already"))
        #expect(try workspace.target("run").result == result)
      }
    }

    /// More epochs than at first end where a run of that many epochs ends.
    @Test func aFinishedRunCanBeProlonged() throws {
      try Workspace.with { workspace in
        try run(workspace.training("whole", ["--epochs", "5"])).success()
        try run(workspace.training("run")).success()
        try run(workspace.training("run", ["--epochs", "5", "--resume"]), ranks: 2).success()
        #expect(try workspace.target("run").identity == workspace.target("whole").identity)
      }
    }

    /// Scripts may always say --resume.
    @Test func resumingNothingStarts() throws {
      try Workspace.with { workspace in
        try run(workspace.training("plain")).success()
        try run(workspace.training("resumed", ["--resume"])).success()
        #expect(try workspace.target("resumed").identity == workspace.target("plain").identity)
      }
    }
  }
}
