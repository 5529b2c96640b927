import Foundation
import Storage
import TestSupport
import Testing

/// Jobs that are hit by signals at random, again and again, and end in the bytes of undisturbed ones.
///
/// `INVERSE_FAULTS` says how many signals; `./launch/test.sh --long` sends 240.
extension RankSuites {
  @Suite struct CampaignTests {
    private static let count =
      ProcessInfo.processInfo.environment["INVERSE_FAULTS"].flatMap(Int.init) ?? 8
    /// Signals that one run survives before it is resumed to its end.
    private static let faultsPerRun = 8

    @Test func whateverHitsAJobItGoesOn() throws {
      var tally = Tally()
      try Workspace.with { workspace in
        for first in stride(from: 0, to: Self.count, by: Self.faultsPerRun) {
          let faults = min(Self.faultsPerRun, Self.count - first)
          var campaign = Campaign(workspace, key: first)
          for number in first..<first + faults { try campaign.survive(number, &tally) }
          try campaign.expectUndisturbed()
        }
      }
      print("faults survived: \(tally.description)")
    }
  }
}

/// How often what was done.
private struct Tally {
  private var counts: [String: Int] = [:]

  mutating func add(_ fault: Fault, insideWrite: Bool) {
    counts[fault.rawValue, default: 0] += 1
    if insideWrite { counts["inside a checkpoint write", default: 0] += 1 }
  }

  var description: String {
    counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
  }
}

/// One run, hit several times.
private struct Campaign {
  private let workspace: Workspace
  private let name: String
  private let options: [String]
  private var draws: Draws
  private var newestStep = 0

  init(_ workspace: Workspace, key: Int) {
    self.workspace = workspace
    name = "run-\(key)"
    draws = Draws(seed: UInt64(key))
    let method = draws.pick(["bce", "ig", "idl"])
    let tables = draws.pick(["replicated", "sharded"])
    let every = draws.pick([3, 40, 700])
    options = [
      "--method", method, "--tables", tables, "--checkpoint-every", "\(every)", "--biases",
      "--stall-timeout", "\(Fault.stallTimeout)",
    ]
  }

  private var target: Run { workspace.target(name) }

  /// Arguments of a run that does not end by itself. The number of epochs decides nothing about those
  /// that are done.
  private func arguments(_ name: String, epochs: Int = 1_000_000) -> [String] {
    ["train", workspace.data, "--output", workspace.target(name).path, "--resume"]
      + ["--epochs", "\(epochs)", "--batch", "64", "--patience", "0"] + options
  }

  /// Starts or resumes the run, hits it once, and expects its end and an intact checkpoint.
  mutating func survive(_ number: Int, _ tally: inout Tally) throws {
    // Every kind in turn, so that a short campaign meets each.
    let fault = Fault.allCases[number % Fault.allCases.count]
    let ranks = Int.random(in: 2...4, using: &draws)
    let moment = draws.pick(Moment.allCases)
    let pause = UInt32.random(in: 0..<400_000, using: &draws)
    let victim = Int.random(in: 0..<ranks, using: &draws)
    let what = "\(name) \(number): \(fault.rawValue) of \(victim), \(ranks) ranks, \(moment)"

    let job = try RankLauncher.startMPI(
      ranks: ranks, executable: inverse, arguments: arguments(name),
      // Seconds that mpirun waits before it kills what it has asked to end.
      environment: patience.merging(["OMPI_MCA_odls_base_sigkill_timeout": "2"]) { $1 })
    try #require(job.waitForError("epoch "), "\(what): \(job.standardError)")
    // A moment of the step that nothing announces: where a fault falls is what is drawn.
    usleep(pause)
    var isInsideWrite = false
    if moment == .checkpointWrite {
      isInsideWrite = Job.wait(deadline: 5) { isWriting }
    }
    let processes = Job.ranks(of: job, count: ranks)
    try #require(!processes.isEmpty, "\(what): \(job.standardError)")
    let before = try newest()
    kill(fault.meetsRank ? processes[victim] : job.pid, fault.signal)
    let left = Job.remaining(withArgument: target.path, deadline: fault.patience)
    #expect(left.isEmpty, "\(what): \(job.standardError)")
    let outcome = job.wait(deadline: fault.patience)
    #expect(!outcome.timedOut, "\(what)")
    #expect(outcome.status != 0, "\(what)")
    if fault.isRequest {
      #expect(outcome.status == Failure.Kind.interrupted.rawValue, "\(what)")
      #expect(outcome.errors.first?.hasPrefix("stopped on request") == true, "\(what)")
    }
    if fault == .hangRank {
      #expect(outcome.standardError.contains("rank \(victim)"), "\(what): \(outcome.standardError)")
    }
    #expect(!outcome.standardError.contains("refused"), "\(what): \(outcome.standardError)")
    #expect(try newest() >= before, "\(what): a checkpoint was lost")
    newestStep = try newest()
    tally.add(fault, insideWrite: isInsideWrite)
  }

  /// Resumes the run for two more epochs and compares it with one that nothing has met.
  mutating func expectUndisturbed() throws {
    let ranks = Int.random(in: 1...4, using: &draws)
    let epochs = try target.checkpointedEpoch + 2
    let outcome = try run(arguments(name, epochs: epochs), ranks: ranks)
    try outcome.success()
    #expect(!outcome.standardError.contains("refused"), "\(name): \(outcome.standardError)")
    #expect(outcome.standardError.contains("after step \(newestStep)"), "\(outcome.standardError)")
    try run(arguments("\(name)-whole", epochs: epochs)).success()
    #expect(try target.identity == workspace.target("\(name)-whole").identity, "\(name)")
  }

  /// The step of the newest checkpoint, 0 when there is none.
  private func newest() throws -> Int {
    guard exists(target.checkpoints) else { return 0 }
    return try target.steps.last.flatMap { Int($0.dropFirst("step-".count)) } ?? 0
  }

  private var isWriting: Bool {
    (try? names(in: target.checkpoints))?.contains { $0.hasSuffix(".partial") } ?? false
  }
}
