import Foundation
import Storage
import TestSupport
import Testing

/// Places that cannot be written to, and disks that fill up.
extension RankSuites {
  @Suite struct OutputTests {
    /// Runs the program with files limited to `blocks` of 1,024 bytes each: to the program it looks
    /// like a disk that fills up.
    static func runLimited(
      to blocks: Int, _ arguments: [String], ranks: Int? = nil
    ) throws -> RunningProcess.Outcome {
      let script = "ulimit -f \(blocks); exec \"$0\" \"$@\""
      guard let ranks else { return try runProcess("bash", ["-c", script, inverse] + arguments) }
      // Memory that ranks share is a file, too.
      let environment = patience.merging(["INVERSE_RANKS_PER_MACHINE": "1"]) { $1 }
      return try RankLauncher.mpirun(
        ranks: ranks, executable: "bash", arguments: ["-c", script, inverse] + arguments,
        environment: environment)
    }

    @Test func placesThatCannotBeWrittenToAreNamed() throws {
      try Workspace.with(shards: 4) { workspace in
        let file = try write("", to: "\(workspace.path)/file")
        // Root may write anywhere but here.
        for output in ["\(file)/out", "/proc/out"] {
          try run(["synthesize", output]).expectFailure(.inputOutput, "cannot create ")
          let logs = ["train", "valid", "test"].flatMap {
            ["--\($0)", "\(workspace.feed)/\($0).tsv"]
          }
          try run(["prepare", output] + logs).expectFailure(.inputOutput, "cannot create ")
          for ranks in [nil, 2] {
            try run(["train", workspace.data, "--output", output], ranks: ranks)
              .expectFailure(.inputOutput, "cannot create \(output)")
          }
        }
        #expect(try names(in: workspace.path) == ["data", "feed", "file"])
      }
    }

    @Test func aFullDiskLeavesNoDataset() throws {
      try Workspace.with(shards: 4) { workspace in
        let logs = ["train", "valid", "test"].flatMap {
          ["--\($0)", "\(workspace.feed)/\($0).tsv"]
        }
        try Self.runLimited(to: 8, ["prepare", "\(workspace.path)/out"] + logs)
          .expectFailure(.inputOutput, "cannot write \(workspace.path)/", "File too large")
        try Self.runLimited(to: 8, ["synthesize", "\(workspace.path)/out"])
          .expectFailure(.inputOutput, "cannot write \(workspace.path)/", "File too large")
        #expect(try names(in: workspace.path) == ["data", "feed"])
      }
    }

    /// The run goes on where the disk was full once there is room again.
    @Test(arguments: [nil, 2])
    func aFullDiskLeavesNoCheckpoint(ranks: Int?) throws {
      try Workspace.with(shards: 4) { workspace in
        let target = workspace.target("run")
        // The model has (300 + 200) × 32 × 4 bytes = 62.5 KiB.
        // On the way a warning, at the end, after some tries, an error.
        let outcome = try Self.runLimited(to: 40, workspace.training("run"), ranks: ranks)
        #expect(outcome.standardError.contains(" warning: the checkpoint after step "))
        #expect(outcome.status == Failure.Kind.inputOutput.rawValue, "\(outcome.standardError)")
        #expect(outcome.errors.count == 1, "\(outcome.standardError)")
        #expect(outcome.errors.first?.contains("model.safetensors") == true)
        #expect(try names(in: target.checkpoints).isEmpty)
        let required = try Self.runLimited(
          to: 40, workspace.training("required", ["--checkpoint-required"]), ranks: ranks)
        #expect(required.status == Failure.Kind.inputOutput.rawValue, "\(required.standardError)")
        #expect(!required.standardError.contains(" warning: "))
        try run(workspace.training("run", ["--resume"])).success()
        try run(workspace.training("whole")).success()
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }
  }
}
