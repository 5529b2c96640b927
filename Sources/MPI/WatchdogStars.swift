internal import Fabric
internal import Foundation

/// The centre: the first rank, which hears all others and judges.
///
/// Safe to share: made by one thread and used by another, one after the other.
final class WatchdogCentre: WatchdogStar, @unchecked Sendable {
  private let listener: WatchdogListener
  private var ranks: [RankObservation]
  private var links: [WatchdogLink?]
  /// Connections that have not said which rank they are, and for how many seconds.
  private var strangers: [(link: WatchdogLink, age: Double)] = []

  private static let strangerPatience = 10.0

  init(_ listener: WatchdogListener, hosts: [String]) {
    self.listener = listener
    ranks = hosts.enumerated().map { RankObservation(rank: $0, host: $1) }
    links = hosts.map { _ in nil }
  }

  func turn(_ own: RankReport, elapsed: Double, of watchdog: Watchdog) -> Bool {
    ranks[0].report = own
    meetStrangers(elapsed, token: watchdog.invitation.token)
    for rank in links.indices.dropFirst() { hear(rank, elapsed, watchdog.invitation.token) }
    if links.dropFirst().allSatisfy({ $0 != nil }) { watchdog.noteMeeting() }
    if watchdog.mayJudge,
      let judgement = StallJudgement.judge(ranks, timeout: watchdog.watch.timeout)
    {
      // Where no launcher ends the rest, this does.
      var end = own
      (end.state, end.code) = (.end, watchdog.message(judgement).code)
      tell(end, watchdog)
      watchdog.end(judgement)
    }
    tell(own, watchdog)
    return true
  }

  func finish(_ own: RankReport, of watchdog: Watchdog) { tell(own, watchdog) }

  private func tell(_ report: RankReport, _ watchdog: Watchdog) {
    var report = report
    // The others need only where this rank is.
    report.calls.tags = report.calls.tags.suffix(1)
    for link in links { link?.send(report, token: watchdog.invitation.token) }
  }

  private func meetStrangers(_ elapsed: Double, token: Int64) {
    for _ in 0..<links.count + 16 {
      guard let link = listener.accept() else { break }
      strangers.append((link, 0))
    }
    for index in strangers.indices { strangers[index].age += elapsed }
    strangers.removeAll { stranger in
      guard let report = stranger.link.newest(token: token) else {
        return stranger.link.isClosed || stranger.age > Self.strangerPatience
      }
      guard links.indices.dropFirst().contains(report.rank) else { return true }
      links[report.rank] = stranger.link
      note(report)
      return true
    }
  }

  private func hear(_ rank: Int, _ elapsed: Double, _ token: Int64) {
    ranks[rank].silence += elapsed
    guard let link = links[rank] else { return }
    if let report = link.newest(token: token), report.rank == rank { note(report) }
    if link.isClosed {
      links[rank] = nil
      ranks[rank].isLost = ranks[rank].report?.state != .done
    }
  }

  private func note(_ report: RankReport) {
    ranks[report.rank].report = report
    ranks[report.rank].silence = 0
    ranks[report.rank].isLost = false
  }
}

/// A ray: any other rank, which hears the first one.
///
/// Safe to share: as ``WatchdogCentre``.
final class WatchdogRay: WatchdogStar, @unchecked Sendable {
  private var candidates: [UInt32]
  private var link: WatchdogLink?
  /// Seconds for which the link has been tried.
  private var trial = 0.0
  private var first: RankObservation
  /// Whether no address has answered.
  private var isUnreachable = false

  /// Seconds until another address is tried.
  private static let trialPatience = 5.0

  /// - Parameters:
  ///   - addresses: Where the first rank may be, the likeliest first.
  ///   - host: Its name.
  init(addresses: [UInt32], host: String) {
    candidates = addresses
    first = RankObservation(rank: 0, host: host)
  }

  func turn(_ own: RankReport, elapsed: Double, of watchdog: Watchdog) -> Bool {
    if first.report == nil { reach(elapsed, watchdog) }
    first.silence += elapsed
    link?.send(own, token: watchdog.invitation.token)
    if let report = link?.newest(token: watchdog.invitation.token), report.rank == 0 {
      first.report = report
      first.silence = 0
      watchdog.noteMeeting()
      if report.state == .end { _exit(report.code) }
    }
    if first.report != nil, link?.isClosed == true { first.isLost = true }
    if first.report?.state == .done { return false }
    judge(own, watchdog)
    return true
  }

  func finish(_ own: RankReport, of watchdog: Watchdog) {
    if first.report != nil { link?.send(own, token: watchdog.invitation.token) }
  }

  /// Judges the first rank, unless that can do so itself. One that was never heard of may have hung
  /// before: what this rank waits for is known all the same.
  private func judge(_ own: RankReport, _ watchdog: Watchdog) {
    guard !first.isHeard, watchdog.mayJudge else { return }
    var mine = RankObservation(rank: own.rank, host: watchdog.invitation.hosts[own.rank])
    mine.report = own
    // One rank is to speak for all; the others only make sure.
    let patience = Double(min(own.rank - 1, 2)) * 2
    if let judgement = StallJudgement.judge(
      [first, mine], timeout: watchdog.watch.timeout + patience)
    {
      watchdog.end(judgement)
    }
  }

  /// Tries one address after the other until the first rank answers.
  private func reach(_ elapsed: Double, _ watchdog: Watchdog) {
    trial += elapsed
    guard !isUnreachable, link?.isClosed != false || trial >= Self.trialPatience else { return }
    link = nil
    trial = 0
    while link == nil, !candidates.isEmpty {
      link = WatchdogLink(
        address: candidates.removeFirst(), port: watchdog.invitation.port)
    }
    guard link == nil else { return }
    isUnreachable = true
    watchdog.warn(
      "cannot reach the first rank's watchdog on \(first.host) over TCP, port "
        + "\(UInt16(bigEndian: watchdog.invitation.port))")
  }
}
