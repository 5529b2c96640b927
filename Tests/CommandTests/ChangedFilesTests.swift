import Foundation
import Storage
import TestSupport
import Testing

/// Files that are cut short, removed or damaged under a running job.
extension RankSuites {
  @Suite struct ChangedFilesTests {
    /// A job that does not end by itself, in its first epochs.
    private func start(_ workspace: Workspace, ranks: Int?) throws -> RunningProcess {
      let arguments = ResumeTests.arguments(workspace, "run")
      let job =
        try ranks.map {
          try RankLauncher.startMPI(
            ranks: $0, executable: inverse, arguments: arguments, environment: patience)
        } ?? RunningProcess(inverse, arguments)
      try #require(job.waitForError("epoch 2/"), "\(job.standardError)")
      return job
    }

    private func cut(_ path: String, to count: Int) {
      let code = unsafe truncate(path, off_t(count))
      #expect(code == 0)
    }

    /// Datasets are mapped: what is cut off cannot be read, and the system sends a signal.
    @Test(arguments: [nil, 2]) func aDatasetThatIsCutShortIsNamed(ranks: Int?) throws {
      try Workspace.with(shards: 4) { workspace in
        let job = try start(workspace, ranks: ranks)
        let path = "\(workspace.data)/shards/0003/valid.items"
        cut(path, to: 0)
        let outcome = job.wait(deadline: 30)
        #expect(!outcome.timedOut)
        #expect(outcome.status == Failure.Kind.inputOutput.rawValue, "\(outcome.standardError)")
        #expect(outcome.errors.count == 1, "\(outcome.standardError)")
        #expect(
          outcome.errors.first?.hasPrefix(
            "cannot read \(path) any more: the file was cut short") == true)
        #expect(ProcessTree.processes(withArgument: workspace.target("run").path).isEmpty)
        #expect(!exists("\(workspace.target("run").path)/result.json"))
      }
    }

    /// A file that is only removed stays readable for those who have it open.
    @Test func aDatasetThatIsRemovedIsReadOn() throws {
      try Workspace.with(shards: 4) { workspace in
        let job = try start(workspace, ranks: nil)
        try Files.rename(workspace.data, to: "\(workspace.path)/aside")
        try FileManager.default.copyItem(atPath: "\(workspace.path)/aside", toPath: workspace.data)
        try FileManager.default.removeItem(atPath: "\(workspace.path)/aside")
        try #require(job.waitForError("epoch 9/"), "\(job.standardError)")
        job.terminate()
        job.wait().expectFailure(.interrupted, "stopped on request after step")
        try ResumeTests.expectResumed(workspace, "run", ranks: nil)
      }
    }

    @Test(arguments: [nil, 2]) func aRunThatIsRemovedEndsTheJob(ranks: Int?) throws {
      try Workspace.with(shards: 4) { workspace in
        let job = try start(workspace, ranks: ranks)
        let path = workspace.target("run").path
        try Files.rename(path, to: "\(workspace.path)/aside")
        let outcome = job.wait(deadline: 30)
        outcome.expectFailure(.inputOutput, "\(path) was removed or moved while the run wrote")
        // It is not made again without its configuration; what was moved can be gone on with.
        #expect(!exists("\(path)/configuration.json") && !exists("\(path)/checkpoints"))
        try? FileManager.default.removeItem(atPath: path)
        try Files.rename("\(workspace.path)/aside", to: path)
        try ResumeTests.expectResumed(workspace, "run", ranks: nil)
      }
    }

    /// Nobody reads `latest`, and a newest checkpoint that was cut short is passed over.
    @Test func filesOfARunThatAreCutShortArePassedOver() throws {
      try Workspace.with(shards: 4) { workspace in
        let job = try start(workspace, ranks: nil)
        job.terminate()
        job.wait().expectFailure(.interrupted, "stopped on request after step")
        let target = workspace.target("run")
        cut("\(target.checkpoints)/latest", to: 3)
        let newest = try #require(try target.steps.last)
        cut("\(target.checkpoints)/\(newest)/optimizer.safetensors", to: 100)
        try ResumeTests.expectResumed(workspace, "run", ranks: nil)
      }
    }
  }
}
