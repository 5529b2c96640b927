/// What one rank knows of another, or of itself.
package struct RankObservation: Equatable, Sendable {
  package var rank: Int
  package var host: String
  /// The newest report; `nil` when there was none yet.
  package var report: RankReport?
  /// Seconds since the newest report came; time in which the observer was stopped does not count.
  package var silence: Double
  /// Whether the connection broke, which is what the end of a process looks like.
  package var isLost: Bool

  package init(
    rank: Int, host: String, report: RankReport? = nil, silence: Double = 0, isLost: Bool = false
  ) {
    self.rank = rank
    self.host = host
    self.report = report
    self.silence = silence
    self.isLost = isLost
  }

  var name: String { "rank \(rank) on \(host)" }
  /// Whether it is known to wait for others.
  var isWaiting: Bool {
    guard let report else { return false }
    return isHeard && report.state == .running && report.isWaiting
  }
  /// The calls it is known to have made.
  var calls: Int { report?.calls.last ?? 0 }

  /// Whether its reports can be taken for what is so now.
  package var isHeard: Bool { !isLost && report != nil && silence < StallJudgement.silentAfter }
}

/// Why a job must end.
package enum StallJudgement: Equatable, Sendable {
  /// Two ranks sit in different calls where all should make the same.
  case mismatch(CallMismatch)
  /// Ranks have waited too long. The line says for whom.
  case stall(String)

  /// Seconds without a report that make a rank silent: six reports.
  package static let silentAfter = 3.0
  /// Seconds more while a rank that has failed, or the launcher of one that is gone, is about to end
  /// the job itself.
  static let failingGrace = 10.0
  /// Seconds of standing still after which what a rank reports of its calls is complete.
  static let restAfter = 0.4

  /// Judges what is known of some ranks.
  ///
  /// - Parameters:
  ///   - ranks: What is known; not necessarily of all.
  ///   - timeout: Seconds that a rank may wait for others.
  /// - Returns: `nil` while nothing is wrong. Ranks that are late, or silent, are no reason as long
  ///   as nobody has waited for them longer than `timeout`.
  package static func judge(_ ranks: [RankObservation], timeout: Double) -> StallJudgement? {
    if let mismatch = mismatch(ranks) { return .mismatch(mismatch) }
    let isFailing = ranks.contains { $0.report?.state == .failing || $0.isLost }
    let limit = timeout + (isFailing ? failingGrace : 0)
    let waiting = ranks.filter { $0.isWaiting && $0.report?.age ?? 0 >= limit }
    let culprit = culprit(ranks, waiting)
    let others = waiting.filter { $0.rank != culprit?.rank }
    guard let first = others.first, let report = first.report else { return nil }
    let waiters =
      "\(first.name) has waited \(Int(report.age)) s in \(report.callText), \(report.place)"
      + (others.count > 1 ? ", and \(others.count - 1) more" : "")
    guard let culprit else {
      return .stall("no rank is late, and yet a call does not end: \(waiters)")
    }
    return .stall("\(describe(culprit)); \(waiters)")
  }

  /// The first two ranks at rest whose calls of the same numbers differ.
  private static func mismatch(_ ranks: [RankObservation]) -> CallMismatch? {
    let resting = ranks.compactMap { rank -> RankReport? in
      guard let report = rank.report, rank.isHeard else { return nil }
      let isThere = report.state == .running || report.state == .failing
      return isThere && report.age >= restAfter ? report : nil
    }
    guard let first = resting.first else { return nil }
    for other in resting.dropFirst() {
      if let found = first.calls.mismatch(of: first.rank, with: other.calls, of: other.rank) {
        return found
      }
    }
    return nil
  }

  /// Whom the others wait for: a rank that fell silent, or else the one that is furthest behind,
  /// unless it waits itself and nobody has left that call behind, or else one that never said
  /// anything.
  private static func culprit(
    _ ranks: [RankObservation], _ waiting: [RankObservation]
  ) -> RankObservation? {
    let known = ranks.filter { $0.report != nil }
    let silent = known.filter { !$0.isHeard && $0.report?.state != .done }
    let late = (silent.isEmpty ? known : silent).min { progress($0) < progress($1) }
    if let late {
      let isBehind = known.contains { $0.isWaiting && $0.calls > late.calls }
      if isBehind || !waiting.contains(late) { return late }
    }
    return ranks.first { $0.report == nil }
  }

  /// How far a rank has come: before, in or behind the waiting of its newest call.
  private static func progress(_ rank: RankObservation) -> Int {
    guard let report = rank.report else { return -1 }
    if report.state == .done { return .max }
    return 3 * report.calls.last + (report.isInside ? (report.isWaiting ? 1 : 0) : 2)
  }

  private static func describe(_ rank: RankObservation) -> String {
    guard let report = rank.report else { return "\(rank.name) was never heard of" }
    let calls = report.calls.last
    let place = calls == 0 ? report.place : "\(report.place), after \(report.callText)"
    if rank.isLost { return "\(rank.name) is gone, last seen in \(place)" }
    if !rank.isHeard { return "\(rank.name) is silent, last seen in \(place)" }
    let seconds = Int(report.age + rank.silence)
    guard !report.isInside else {
      return "\(rank.name) is in \(report.callText), \(report.place), for \(seconds) s"
    }
    return "\(rank.name) has been in \(place) for \(seconds) s"
  }
}
