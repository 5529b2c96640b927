internal import Fabric
internal import Foundation
internal import Synchronization

/// A thread that notices ranks which wait for each other in vain, and ends the job.
///
/// It never calls MPI, whose thread may be what hangs. Twice a second it looks at what its own rank
/// does and tells the first rank's watchdog over TCP, which judges (`StallJudgement`); the others
/// judge only the first rank. See docs/decisions/0018-stalls-and-tags.md.
///
/// Safe to share: the working thread only stops it, marks a failure and asks whether it has met
/// others, all atomically; all else
/// belongs to the thread of the watchdog.
final class Watchdog: @unchecked Sendable {
  /// What every rank must know of the first one's watchdog, and of all hosts.
  struct Invitation {
    /// Known to this job alone, so that nobody else's connection is taken for a rank's.
    var token: Int64
    /// Where the first rank's watchdog listens, in the order of the network; 0 when it cannot.
    var port: UInt16
    var addresses: [UInt32]
    var hosts: [String]
  }

  /// Seconds between two looks.
  static let tick = 0.5
  /// Seconds until ranks at rest have been compared: two looks, a message, and another look.
  static let timeToCompare = 4 * tick
  private static let reticenceAfterStop = 10.0

  let rank: Int
  let watch: StallWatch
  let invitation: Invitation
  private let position: RankPosition
  private let calls: CallHistory
  private let isFailing = Atomic<Bool>(false)
  private let isMet = Atomic<Bool>(false)
  private let isStopping = Atomic<Bool>(false)
  private let wake = DispatchSemaphore(value: 0)
  private let hasEnded = DispatchSemaphore(value: 0)

  /// The newest look at the own rank, and the counters that tell whether it moved since.
  private var own: RankReport
  private var moves = -1
  private var lastLook = ContinuousClock.now
  /// Seconds for which this watchdog only listens, after its process was stopped.
  private var reticence = 0.0

  init(
    rank: Int, _ watch: StallWatch, _ invitation: Invitation, position: RankPosition,
    calls: CallHistory
  ) {
    self.rank = rank
    self.watch = watch
    self.invitation = invitation
    self.position = position
    self.calls = calls
    own = RankReport(rank: rank, state: .running)
  }

  /// Begins to watch; `star` is the part of the first rank or of another one.
  func start(_ star: any WatchdogStar) {
    let thread = Thread { [self] in
      blockSignals()
      while !isStopping.load(ordering: .relaxed) {
        _ = wake.wait(timeout: .now() + Self.tick)
        let elapsed = look()
        if isStopping.load(ordering: .relaxed) { break }
        guard star.turn(own, elapsed: elapsed, of: self) else { break }
      }
      own.state = .done
      star.finish(own, of: self)
      hasEnded.signal()
    }
    thread.stackSize = 512 << 10
    thread.start()
  }

  /// Whether the other end, or all other ends, have been heard of.
  var hasMet: Bool { isMet.load(ordering: .relaxed) }

  /// Notes that it is so; called by the thread of the watchdog.
  func noteMeeting() { isMet.store(true, ordering: .relaxed) }

  /// Marks that this rank has failed and is about to end the job.
  func noteFailure() { isFailing.store(true, ordering: .relaxed) }

  /// Ends the thread before it returns.
  func stop() {
    isStopping.store(true, ordering: .relaxed)
    wake.signal()
    hasEnded.wait()
  }

  /// Ends the job: says why and leaves without a word to MPI, whereupon the launcher ends the rest.
  func end(_ judgement: StallJudgement) -> Never {
    let (line, code) = message(judgement)
    writeToStandardError(line: watch.linePrefix + line)
    _exit(code)
  }

  /// The line and the exit code of a judgement.
  func message(_ judgement: StallJudgement) -> (line: String, code: Int32) {
    switch judgement {
    case .mismatch(let mismatch): (mismatch.description, watch.mismatchCode)
    case .stall(let line):
      ("\(line): more than --stall-timeout \(Int(watch.timeout))", watch.stallCode)
    }
  }

  /// Says once that this rank hears nothing of the others.
  func warn(_ reason: String) {
    writeToStandardError(
      line: "\(watch.warningPrefix)rank \(rank) on \(invitation.hosts[rank]): \(reason): "
        + "of ranks that hang it notices only those it waits for itself")
  }

  /// Whether what is known of others is fresh enough to judge them.
  var mayJudge: Bool { reticence <= 0 }

  /// Looks at the own rank.
  ///
  /// - Returns: The seconds since the last look. A process that was stopped in between, perhaps
  ///   with all others, has waited for nobody: then two ticks.
  private func look() -> Double {
    let now = ContinuousClock.now
    let gap = (now - lastLook) / .seconds(1)
    let elapsed = min(gap, 2 * Self.tick)
    lastLook = now
    // A launcher that ends a job wakes stopped processes first: they know nothing of it yet.
    reticence = gap > StallJudgement.silentAfter ? Self.reticenceAfterStop : reticence - elapsed
    let moves = calls.moves &+ position.moves
    var report = RankReport(
      rank: rank, state: isFailing.load(ordering: .relaxed) ? .failing : .running)
    report.activity = position.activity
    report.epoch = position.epoch
    report.step = position.step
    report.isInside = calls.isInside
    report.calls = calls.recent(RankReport.callCount)
    // What moved while it was read may be half old: it is at rest only if nothing did, from the
    // last look until now.
    atomicMemoryFence(ordering: .acquiring)
    let isResting = moves == self.moves && moves == calls.moves &+ position.moves
    report.age = isResting ? own.age + elapsed : 0
    self.moves = moves
    own = report
    return elapsed
  }

  /// Signals are for the working thread.
  private func blockSignals() {
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
  }
}

/// One rank's part in the star of connections.
///
/// All is called by the thread of the watchdog.
protocol WatchdogStar: AnyObject, Sendable {
  /// Sends the own report, takes in the others', and judges; ends the job if it must.
  ///
  /// - Parameters:
  ///   - own: Of the own rank.
  ///   - elapsed: Seconds since the last turn.
  ///   - watchdog: Whose part this is.
  /// - Returns: Whether there is any use in going on.
  func turn(_ own: RankReport, elapsed: Double, of watchdog: Watchdog) -> Bool
  /// Says good-bye.
  func finish(_ own: RankReport, of watchdog: Watchdog)
}
