import Foundation
import TestSupport
import Testing

/// Hosts that are network namespaces of this machine (`launch/hosts.sh`): messages over TCP, links that
/// can be cut.
extension RankSuites {
  @Suite(.enabled(if: Hosts.areAvailable, "network namespaces need root and iproute2"))
  struct SeveralHostsTests {
    /// Two ranks on each of three hosts, one on each of two, and one alone: the same bytes.
    @Test(arguments: ["replicated", "sharded"])
    func severalHostsLearnTheSame(tables: String) throws {
      try Workspace.with { workspace in
        let options = ["--method", "ig", "--biases", "--tables", tables]
        try run(workspace.training("alone", options)).success()
        let expected = try workspace.target("alone").identity
        for (count, ranksPerHost) in [(3, 2), (2, 1)] {
          try Hosts.with(count) { hosts in
            let name = "\(count)-\(ranksPerHost)"
            try hosts.mpirun(ranksPerHost, workspace.training(name, options)).wait().success()
            let target = workspace.target(name)
            #expect(try target.identity == expected, "\(name)")
            let environment = try json(text("\(target.path)/environment.json"))
            let names = try #require(environment["hosts"] as? [String])
            let wanted = (0..<names.count).map { hosts.name(of: 1 + $0 / ranksPerHost) }
            #expect(names == wanted && names.count == count * ranksPerHost)
          }
        }
      }
    }

    /// A link that goes down: no error comes from the network for many minutes, so the silence ends
    /// the job; it goes on later, elsewhere.
    @Test(arguments: [2, 1])
    func aCutLinkEndsTheJob(host: Int) throws {
      try Workspace.with { workspace in
        try Hosts.with(2) { hosts in
          let target = workspace.target("cut")
          let arguments = ResumeTests.arguments(workspace, "cut") + ["--stall-timeout", "3"]
          let job = try hosts.mpirun(1, arguments)
          try #require(job.waitForError("epoch 2/"), "\(job.standardError)")
          try hosts.cut(host)
          let left = Job.remaining(withArgument: target.path, deadline: 20)
          #expect(left.isEmpty, "\(job.standardError)")
          let outcome = job.wait(deadline: 20)
          #expect(!outcome.timedOut, "\(outcome.standardError)")
          #expect(outcome.status != 0)
          // Cut before or after the watchdogs have found each other.
          let line = #/rank \d on \S+ (is silent|was never heard of)/#
          #expect(outcome.standardError.contains(line), "\(outcome.standardError)")
          try ResumeTests.expectResumed(workspace, "cut", ranks: 3)
        }
      }
    }
  }
}

/// Hosts that are there for one test.
struct Hosts {
  private static let script: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.appendingPathComponent("launch/hosts.sh").path
  }()

  /// The prefix of their names.
  private let prefix: String

  /// Whether this machine lets us make hosts.
  static let areAvailable: Bool = (try? with(1) { _ in true }) ?? false

  static func with<T>(_ count: Int, _ body: (Hosts) throws -> T) throws -> T {
    let hosts = Hosts(prefix: "inverse\(getpid())")
    defer { try? hosts.call("down") }
    try hosts.call("up", "\(count)")
    return try body(hosts)
  }

  func name(of host: Int) -> String { "\(prefix)-host-\(host)" }

  func cut(_ host: Int) throws { try call("cut", "\(host)") }

  /// Starts the program on each host.
  func mpirun(_ ranksPerHost: Int, _ arguments: [String]) throws -> RunningProcess {
    let environment = RankLauncher.mpirunEnvironment.merging(patience) { $1 }
    return try RunningProcess(
      Self.script,
      ["mpirun", "\(ranksPerHost)", "--oversubscribe", "--bind-to", "none", inverse] + arguments,
      environment: environment.merging(variables) { $1 })
  }

  private var variables: [String: String?] { ["INVERSE_HOSTS": prefix] }

  private func call(_ arguments: String...) throws {
    let outcome = try runProcess(Self.script, arguments, environment: variables)
    guard outcome.status == 0 else { throw HostsError(text: outcome.standardError) }
  }
}

private struct HostsError: Error, CustomStringConvertible {
  let text: String
  var description: String { "hosts.sh: \(text)" }
}
