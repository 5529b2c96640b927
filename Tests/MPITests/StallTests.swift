import Fabric
import Foundation
import TestSupport
import Testing

/// Ranks that wait for one that does not come, and ranks that went different ways.
@Suite(.serialized) struct StallTests {
  /// Identifies the processes of one test in the list of all processes.
  let token = UUID().uuidString
  let host = hostName()

  private func start(
    _ check: String, ranks: Int, timeout: Int, ranksPerMachine: Int = 0
  ) throws -> RunningProcess {
    try RankLauncher.startMPI(
      ranks: ranks, executable: rankChecks,
      arguments: [check, token, "2147483647", "\(ranksPerMachine)", "\(timeout)"],
      environment: ["OMPI_MCA_mpi_yield_when_idle": "1"])
  }

  /// Expects the end of a job by its watchdogs, nobody left, and returns what they said.
  private func line(
    of job: RunningProcess, code: Int32, deadline: Double,
    at location: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = job.wait(deadline: deadline)
    #expect(!outcome.timedOut, sourceLocation: location)
    #expect(outcome.status == code, "\(outcome.standardError)", sourceLocation: location)
    #expect(ProcessTree.processes(withArgument: token).isEmpty, sourceLocation: location)
    let told = lines(of: outcome.standardError).filter { $0.hasPrefix("ended: ") }
    try #require(told.count == 1, "\(outcome.standardError)", sourceLocation: location)
    return String(told[0])
  }

  /// Stopped with its watchdog, a rank says nothing any more.
  @Test(arguments: [0, 1, 2])
  func aStoppedRankEndsTheJob(stopped: Int) throws {
    let job = try start("rounds", ranks: 3, timeout: 4)
    try #require(job.waitForOutput("ready", count: 3), "\(job.standardError)")
    kill(try #require(ProcessTree.childProcesses(of: job.pid).dropFirst(stopped).first), SIGSTOP)
    // The timeout, up to two seconds until the others' word counts, ten to be gone.
    let line = try line(of: job, code: 4, deadline: 16)
    #expect(
      line.contains(
        #/rank (\d) on \S+ is silent, last seen in phase (forward|reduce) of epoch 1, step \d+, after call \d+ \(sum of 3 Double\); rank \d on \S+ has waited [45] s in call \d+ \(sum of 3 Double\), phase reduce of epoch 1, step \d+/#
      ), "\(line)")
    #expect(line.hasPrefix("ended: rank \(stopped) on \(host) is silent"))
  }

  @Test func aRankThatNeverComesIsNamed() throws {
    let line = try line(of: start("late", ranks: 3, timeout: 3), code: 4, deadline: 20)
    // Two ranks wait, and either may be the first to have waited long enough.
    #expect(
      line.contains(
        #/rank [01] on \S+ has waited 3 s in call 2 \(barrier\), phase evaluate(, and 1 more)?:/#),
      "\(line)")
    #expect(line.contains(#/phase evaluate, after call 1 \(sum of 2 Double\) for [23] s; /#))
    #expect(line.hasPrefix("ended: rank 2 on \(host) has been in phase evaluate"))
  }

  /// Three times two seconds, of which none is longer than the timeout.
  @Test func aSlowRankIsLeftAlone() throws {
    let outcome = try start("slow", ranks: 3, timeout: 4).wait()
    #expect(outcome.status == 0, "\(outcome.standardError)")
    #expect(outcome.standardError.isEmpty, "\(outcome.standardError)")
    #expect(lines(of: outcome.standardOutput).count { $0 == "finished" } == 3)
  }

  /// All ranks stopped together, as when a machine sleeps or a scheduler suspends a job, wait for
  /// nobody.
  @Test func aSuspendedJobGoesOn() throws {
    let job = try start("pauses", ranks: 2, timeout: 3)
    try #require(job.waitForOutput("ready", count: 2), "\(job.standardError)")
    let ranks = ProcessTree.childProcesses(of: job.pid)
    for rank in ranks { kill(rank, SIGSTOP) }
    // Time is what is tested: twice the timeout passes while all stand still.
    sleep(6)
    for rank in ranks { kill(rank, SIGCONT) }
    let outcome = job.wait()
    #expect(outcome.status == 0, "\(outcome.standardError)")
    #expect(lines(of: outcome.standardOutput).count { $0 == "finished" } == 2)
  }

  /// Without verification of each call, and long before the timeout.
  @Test(arguments: [0, 1])
  func ranksThatWaitInDifferentCallsAreToldApart(ranksPerMachine: Int) throws {
    let job = try start(
      "different", ranks: 2, timeout: 300, ranksPerMachine: ranksPerMachine)
    let line = try line(of: job, code: 5, deadline: 15)
    #expect(
      line == "ended: ranks disagree: rank 0: call 1, barrier in phase forward; rank 1: sum of 3 "
        + "Double in phase forward")
  }

  /// With two ranks nothing hangs, and nothing but the digest tells. With three the library itself
  /// refuses a message, on a third rank that did nothing wrong.
  @Test(arguments: [(2, 3 as Int32), (3, 5)])
  func differentCallsThatEndAreNoticed(ranks: Int, code: Int32) throws {
    let outcome = try start("diverge", ranks: ranks, timeout: 300).wait(deadline: 20)
    #expect(outcome.status == code, "\(outcome.standardError)")
    #expect(!outcome.standardOutput.contains("not noticed"))
    #expect(
      outcome.standardError.contains(
        "ranks disagree: rank 0: call 1, broadcast of 8 bytes from rank 0 in phase exchange; "
          + "rank 1: broadcast of 16 bytes from rank 0 in phase exchange"),
      "\(outcome.standardError)")
  }
}
