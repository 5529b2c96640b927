import Fabric
import Foundation
import TestSupport
import Testing

/// A rank that fails ends the whole job: non-zero, within the deadline, and nobody is left.
@Suite(.serialized) struct FailureTests {
  /// Identifies the processes of one test in the list of all processes.
  let token = UUID().uuidString

  @Test(arguments: [
    ("throw", 3 as Int32, "cause of the failure"), ("abort", 9, "cause of the abort"),
  ])
  func oneRankEndsTheJob(check: String, code: Int32, cause: String) throws {
    let outcome = try RankLauncher.mpirun(
      ranks: 3, executable: rankChecks, arguments: [check, token])
    #expect(!outcome.timedOut)
    #expect(outcome.status == code)
    let reports = lines(of: outcome.standardError).filter { $0.contains(cause) }
    #expect(reports == ["rank 2 on \(hostName()): \(cause)"])
    #expect(ProcessTree.processes(withArgument: token).isEmpty)
  }

  @Test func everyReportIsOneLine() throws {
    let outcome = try RankLauncher.mpirun(
      ranks: 1, executable: rankChecks, arguments: ["throw-on-all", token])
    #expect(outcome.status == 3)
    #expect(
      lines(of: outcome.standardError).contains(
        "rank 0 on \(hostName()): all ranks fail with two lines"))
  }

  @Test func oneKilledRankEndsTheJob() throws {
    let job = try RankLauncher.startMPI(
      ranks: 3, executable: rankChecks, arguments: ["wait", token])
    try #require(job.waitForOutput("ready", count: 3), "\(job.standardError)")
    let ranks = ProcessTree.childProcesses(of: job.pid)
    #expect(ranks.count == 3)
    kill(try #require(ranks.last), SIGKILL)
    let outcome = job.wait()
    #expect(!outcome.timedOut)
    #expect(outcome.status != 0)
    // mpirun speaks for the rank, which cannot.
    #expect(outcome.standardError.contains("exited on signal 9"))
    #expect(ProcessTree.processes(withArgument: token).isEmpty)
  }

  @Test func aRankThatLeavesEarlyEndsTheJob() throws {
    let outcome = try RankLauncher.mpirun(
      ranks: 2, executable: rankChecks, arguments: ["return", token])
    #expect(!outcome.timedOut)
    #expect(outcome.status != 0)
    #expect(ProcessTree.processes(withArgument: token).isEmpty)
  }

  @Test func aJobThatHangsIsKilledAtTheDeadline() throws {
    let job = try RankLauncher.startMPI(
      ranks: 2, executable: rankChecks, arguments: ["wait", token])
    try #require(job.waitForOutput("ready", count: 2), "\(job.standardError)")
    let outcome = job.wait(deadline: 0.1)
    #expect(outcome.timedOut)
    #expect(outcome.status == -SIGKILL)
    #expect(ProcessTree.processes(withArgument: token).isEmpty)
  }
}
