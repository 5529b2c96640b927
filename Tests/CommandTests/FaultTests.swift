import Fabric
import Foundation
import Storage
import TestSupport
import Testing

/// One rank fails, and none of the others is left waiting.
extension RankSuites {
  @Suite struct FaultTests {
    static let host = hostName()

    /// Throws in the middle of a step, and of a checkpoint: the job ends with one line, nothing
    /// half-written stands under a final name, and the run goes on to the same bytes.
    @Test(arguments: [(1, "reduce", 7), (0, "write", 6), (2, "write", 3)])
    func anErrorOfOneRankEndsAll(rank: Int, phase: String, step: Int) throws {
      try Workspace.with { workspace in
        let options = ["--checkpoint-every", "3"]
        let outcome = try run(
          workspace.training("run", options), ranks: 3,
          environment: ["INVERSE_FAULT": "rank=\(rank) phase=\(phase) step=\(step) action=throw"],
          deadline: 10)
        outcome.expectFailure(
          .software,
          "rank \(rank) on \(Self.host) in phase \(phase): INVERSE_FAULT: fault in phase \(phase), "
            + "step \(step)")
        let target = workspace.target("run")
        for name in try names(in: target.checkpoints) where !name.hasPrefix(".") {
          #expect(name == "latest" || exists("\(target.checkpoints)/\(name)/manifest.json"))
        }
        try run(workspace.training("run", options + ["--resume"]), ranks: 2).success()
        try run(workspace.training("whole", options)).success()
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }

    /// A rank that is stopped like one whose host hangs, and the rank that judges.
    @Test(arguments: [0, 1])
    func aStoppedRankEndsAll(rank: Int) throws {
      try Workspace.with { workspace in
        let token = UUID().uuidString
        let job = try RankLauncher.startMPI(
          ranks: 2, executable: inverse,
          arguments: [
            "train", workspace.data, "--output", "\(workspace.path)/\(token)", "--batch", "64",
            "--epochs", "100000", "--patience", "0", "--stall-timeout", "7",
          ],
          environment: patience.merging([
            "INVERSE_FAULT": "rank=\(rank) phase=backward step=200 action=stop"
          ]) { $1 })
        let outcome = job.wait(deadline: 60)
        #expect(!outcome.timedOut)
        #expect(outcome.status == Failure.Kind.unavailable.rawValue, "\(outcome.standardError)")
        #expect(outcome.errors.count == 1, "\(outcome.standardError)")
        let line = try #require(outcome.errors.first)
        #expect(
          line.contains(
            #/is silent, last seen in phase backward of epoch 6, step 200, after call \d+ \(/#),
          "\(line)")
        #expect(line.hasPrefix("rank \(rank) on \(Self.host) is silent"))
        #expect(line.contains("; rank \(1 - rank) on \(Self.host) has waited "))
        #expect(line.contains(", step 200: more than --stall-timeout 7"), "\(line)")
        #expect(ProcessTree.processes(withArgument: "\(workspace.path)/\(token)").isEmpty)
      }
    }

    @Test func killsAndSilentExitsEndAll() throws {
      try Workspace.with { workspace in
        for action in ["kill", "exit"] {
          let outcome = try run(
            workspace.training(action), ranks: 2,
            environment: ["INVERSE_FAULT": "rank=1 phase=read action=\(action)"], deadline: 10)
          #expect(!outcome.timedOut)
          #expect(outcome.status != 0)
          #expect(!exists("\(workspace.target(action).path)/result.json"))
        }
      }
    }

    @Test(arguments: [
      ("phase=reduce", "action must be one of throw, kill, stop, exit"),
      ("phase=sleep action=throw", "phase must be one of read, sample,"),
      ("phase=reduce action=throw step=0", "step must be a whole number of at least 1"),
      ("phase=reduce action=throw rank=x", "rank must be a whole number of at least 0"),
      ("phase=reduce action=throw epoch=1", "unknown key 'epoch'"),
      ("reduce", "'reduce' is not key=value"),
      ("phase=reduce phase=read action=throw", "given twice"),
    ])
    func mistakesAreWrongUsage(text: String, message: String) throws {
      try run(["train", "x", "--output", "y"], environment: ["INVERSE_FAULT": text])
        .expectFailure(.usage, "INVERSE_FAULT '\(text)': ", message)
    }

    /// Alone, the thread that writes checkpoints fails, too.
    @Test(arguments: ["forward", "write"])
    func aProcessAloneFails(phase: String) throws {
      try Workspace.with(shards: 4) { workspace in
        try run(
          workspace.training("run"), environment: ["INVERSE_FAULT": "phase=\(phase) action=throw"]
        ).expectFailure(.software, "fault in phase \(phase), step ")
      }
    }
  }
}
