import Foundation
import TestSupport

/// What happens to a job: a signal to one of its ranks or to `mpirun`.
enum Fault: String, CaseIterable {
  case killRank, hangRank, stopRank, interruptRank
  case killLauncher, terminateLauncher, interruptLauncher, stopThroughLauncher

  var signal: Int32 {
    switch self {
    case .killRank, .killLauncher: SIGKILL
    case .hangRank: SIGSTOP
    case .stopRank, .terminateLauncher: SIGTERM
    case .interruptRank, .interruptLauncher: SIGINT
    case .stopThroughLauncher: SIGUSR1
    }
  }

  var meetsRank: Bool {
    switch self {
    case .killRank, .hangRank, .stopRank, .interruptRank: true
    case .killLauncher, .terminateLauncher, .interruptLauncher, .stopThroughLauncher: false
    }
  }

  /// Whether all ranks stop after the same step, with a checkpoint.
  var isRequest: Bool {
    self == .stopRank || self == .interruptRank || self == .stopThroughLauncher
  }

  /// Seconds until no process of the job is left; a rank that hangs is waited for first.
  var patience: Double { self == .hangRank ? 10 + Double(Self.stallTimeout) : 10 }

  /// `--stall-timeout` of the jobs, in seconds.
  static let stallTimeout = 3
}

/// When it happens.
enum Moment: CaseIterable {
  /// Some milliseconds after the first step.
  case anyStep
  /// As soon as something half-written is there.
  case checkpointWrite
}

/// Numbers that are the same in every run of the tests: SplitMix64.
struct Draws: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// One of `values`, of which there is at least one.
  mutating func pick<Value>(_ values: [Value]) -> Value {
    values[Int.random(in: values.indices, using: &self)]
  }
}

/// The processes of a job.
enum Job {
  /// The processes of the ranks that `launcher` has started.
  static func ranks(of launcher: RunningProcess, count: Int) -> [Int32] {
    let all = ProcessTree.childProcesses(of: launcher.pid)
    return all.count == count ? all : []
  }

  /// Waits until no process has `argument` among its arguments.
  ///
  /// - Returns: Those that are left after `deadline` seconds.
  static func remaining(withArgument argument: String, deadline: Double) -> [Int32] {
    let end = Date(timeIntervalSinceNow: deadline)
    while true {
      let left = ProcessTree.processes(withArgument: argument)
      if left.isEmpty || Date() > end { return left }
      // They are not our children, so the system tells nobody here of their end.
      usleep(20_000)
    }
  }

  /// Waits until `isMet`; polls without a pause, to meet an instant.
  ///
  /// - Returns: Whether it came within `deadline` seconds.
  static func wait(deadline: Double, until isMet: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: deadline)
    while !isMet() {
      if Date() > end { return false }
    }
    return true
  }
}
