import Fabric
import Foundation
import Storage
import TestSupport
import Testing

/// Disks that take long, and one that never comes back.
extension RankSuites {
  @Suite struct SlowDiskTests {
    /// The environment of a job whose ranks have a slow disk.
    private func slowDisk(
      _ workspace: Workspace, milliseconds: Int, rank: Int? = nil, after calls: Int = 0
    ) throws -> [String: String?] {
      let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Preloads/slow_disk.c").standardized.path
      let library = "\(workspace.path)/slow_disk.so"
      let compiler = try runProcess(
        "clang", ["-shared", "-fPIC", "-o", library, source, "-ldl"])
      try #require(compiler.status == 0, "\(compiler.standardError)")
      return [
        "LD_PRELOAD": library, "SLOW_DISK_MILLISECONDS": "\(milliseconds)",
        "SLOW_DISK_RANK": rank.map { "\($0)" }, "SLOW_DISK_AFTER": "\(calls)",
      ]
    }

    /// The others wait for as long as it takes, and nothing is complained about.
    @Test(arguments: [nil, 0, 1]) func aSlowDiskOnlyTakesTime(rank: Int?) throws {
      try Workspace.with(shards: 4) { workspace in
        let outcome = try run(
          workspace.training("run", ["--stall-timeout", "20"]), ranks: 2,
          environment: slowDisk(workspace, milliseconds: 100, rank: rank))
        try outcome.success()
        #expect(!outcome.standardError.contains(" warning: "), "\(outcome.standardError)")
        try run(workspace.training("whole")).success()
        #expect(
          try workspace.target("run").identity == workspace.target("whole").identity)
      }
    }

    /// A disk that hangs in the middle of a checkpoint is a rank that is waited for: the job ends
    /// after the timeout, names it, and the checkpoint before is the one that counts.
    @Test(arguments: [0, 1]) func aDiskThatHangsEndsTheJob(rank: Int) throws {
      try Workspace.with(shards: 4) { workspace in
        let target = workspace.target("run")
        let options = ["--checkpoint-every", "2", "--keep", "9"]
        let job = try RankLauncher.startMPI(
          ranks: 2, executable: inverse,
          arguments: workspace.training("run", options + ["--stall-timeout", "3"]),
          environment: patience.merging(
            slowDisk(workspace, milliseconds: 120_000, rank: rank, after: 30)
          ) { $1 })
        let outcome = job.wait(deadline: 40)
        #expect(!outcome.timedOut)
        #expect(outcome.status == Failure.Kind.unavailable.rawValue, "\(outcome.standardError)")
        #expect(outcome.errors.count == 1, "\(outcome.standardError)")
        let line = outcome.errors.first ?? ""
        #expect(line.hasPrefix("rank \(rank) on \(hostName())"), "\(line)")
        #expect(line.contains("(bring a file to the disk), phase checkpoint"), "\(line)")
        #expect(Job.remaining(withArgument: target.path, deadline: 2).isEmpty)
        #expect(try !target.steps.isEmpty)
        try run(workspace.training("run", options + ["--resume"])).success()
        try run(workspace.training("whole", options)).success()
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }
  }
}
