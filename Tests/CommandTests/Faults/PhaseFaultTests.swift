import Foundation
import Storage
import TestSupport
import Testing

/// One rank fails in each phase of a job in turn.
extension RankSuites {
  @Suite struct PhaseFaultTests {
    /// Those of `result.json`, and `read` and `write`.
    private static let phases = [
      "read", "sample", "exchange", "forward", "backward", "reduce", "update", "evaluate",
      "checkpoint", "write",
    ]
    /// The long campaign also lets ranks die and leave in silence.
    private static let actions =
      ProcessInfo.processInfo.environment["INVERSE_FAULTS"] == nil
      ? ["throw"] : ["throw", "kill", "exit"]

    @Test(arguments: phases, actions)
    func aRankThatFailsEndsAll(phase: String, action: String) throws {
      try Workspace.with { workspace in
        let name = "\(phase)-\(action)"
        let target = workspace.target(name)
        let options = ["--checkpoint-every", "3", "--method", "ig"]
        let job = try RankLauncher.startMPI(
          ranks: 3, executable: inverse, arguments: workspace.training(name, options),
          environment: patience.merging([
            "INVERSE_FAULT": "rank=2 phase=\(phase) action=\(action)"
          ]) { $1 })
        let outcome = job.wait(deadline: 15)
        #expect(!outcome.timedOut, "\(name)")
        #expect(outcome.status != 0, "\(name): \(outcome.standardError)")
        #expect(Job.remaining(withArgument: target.path, deadline: 0).isEmpty, "\(name)")
        if action == "throw" {
          #expect(outcome.errors.count == 1, "\(outcome.standardError)")
          #expect(outcome.errors.first?.hasPrefix("rank 2 on ") == true, "\(outcome.errors)")
          #expect(outcome.errors.first?.contains("phase \(phase)") == true, "\(outcome.errors)")
        }
        try run(workspace.training(name, options + ["--resume"]), ranks: 2).success()
        try run(workspace.training("whole", options)).success()
        #expect(try target.identity == workspace.target("whole").identity, "\(name)")
      }
    }
  }
}
