import Foundation
import TestSupport
import Testing

/// The tool of the other suites needs proof too: a broken one would let them hang or pass.
@Suite struct RunningProcessTests {
  @Test func outputsAndStatusArePassedOn() throws {
    let outcome = try runProcess("sh", ["-c", "echo out; echo err >&2; exit 5"])
    #expect(outcome.status == 5)
    #expect(outcome.standardOutput == "out\n")
    #expect(outcome.standardError == "err\n")
    #expect(!outcome.timedOut)
  }

  /// Far more than a pipe holds, on both streams, one after the other.
  @Test func largeOutputsDoNotBlock() throws {
    let script = "head -c 3000000 /dev/zero >&2; head -c 2000000 /dev/zero"
    let outcome = try runProcess("sh", ["-c", script])
    #expect(outcome.status == 0)
    #expect(outcome.standardOutput.utf8.count == 2_000_000)
    #expect(outcome.standardError.utf8.count == 3_000_000)
  }

  @Test func theEnvironmentIsExtendedAndReduced() throws {
    let outcome = try runProcess(
      "sh", ["-c", "echo ${ADDED}-${PATH:+path}-${HOME:-none}"],
      environment: ["ADDED": "yes", "HOME": nil])
    #expect(outcome.standardOutput == "yes-path-none\n")
  }

  @Test func theDeadlineEndsWholeTrees() throws {
    let token = UUID().uuidString
    // Children in the foreground and in the background, and one that left the process group.
    let script = "sleep 100 & setsid sh -c 'sleep 100; :' \(token) & echo started; wait"
    let process = try RunningProcess("sh", ["-c", script, token])
    try #require(process.waitForOutput("started"))
    #expect(ProcessTree.childProcesses(of: process.pid).count == 2)
    let outcome = process.wait(deadline: 0.1)
    #expect(outcome.timedOut)
    #expect(outcome.status == -SIGKILL)
    #expect(ProcessTree.processes(withArgument: token).isEmpty)
  }

  /// A test that fails half way must not leave its programs behind.
  @Test func aForgottenProgramIsKilled() throws {
    let watched: RunningProcess
    do {
      let forgotten = try RunningProcess("sh", ["-c", "echo $$; sleep 100"])
      try #require(forgotten.waitForOutput("\n"))
      let pid = forgotten.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
      watched = try RunningProcess("tail", ["--pid=\(pid)", "-f", "/dev/null"])
    }
    #expect(watched.wait().status == 0)
  }

  @Test func signalsArriveAndAreReported() throws {
    let trapping = try RunningProcess(
      "sh", ["-c", "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.01; done"])
    try #require(trapping.waitForOutput("ready"))
    trapping.terminate(SIGTERM)
    let caught = trapping.wait()
    #expect(caught.status == 7)
    #expect(caught.standardOutput == "ready\ncaught\n")

    let plain = try RunningProcess("sleep", ["100"])
    plain.terminate(SIGINT)
    #expect(plain.wait().status == -SIGINT)
  }

  @Test func waitingForOutputThatNeverComesEnds() throws {
    let process = try RunningProcess("echo", ["something else"])
    #expect(!process.waitForOutput("expected"))
    #expect(process.wait().status == 0)
  }

  @Test func programsThatDoNotExistAreReported() {
    #expect(throws: POSIXError.self) { try runProcess("/no/such/program") }
  }
}
