import Fabric
import Testing

/// When a job is ended, and whom the line names.
@Suite struct StallJudgementTests {
  /// A rank that has made `calls`; inside the last one or behind it.
  private static func rank(
    _ rank: Int, calls: [(CallKind, Int)], inside: Bool, age: Double, silence: Double = 0,
    state: RankReport.State = .running, activity: Activity = .reduce
  ) -> RankObservation {
    let history = CallHistory()
    for (kind, count) in calls { history.begin(kind, count: count, detail: 0, .reduce) }
    var report = RankReport(rank: rank, state: state)
    report.calls = history.recent(RankReport.callCount)
    report.isInside = inside
    report.age = age
    report.activity = activity
    (report.epoch, report.step) = (2, 30)
    return RankObservation(
      rank: rank, host: "node\(rank)", report: report, silence: silence)
  }

  private static let before: [(CallKind, Int)] = [(.gather, 24)]
  private static let waiting: [(CallKind, Int)] = [(.gather, 24), (.barrier, 0)]

  private static func stall(_ ranks: [RankObservation], timeout: Double = 5) -> String? {
    guard case .stall(let line) = StallJudgement.judge(ranks, timeout: timeout) else { return nil }
    return line
  }

  @Test func aSilentRankIsNamedWithWhatItDidLast() throws {
    let ranks = [
      Self.rank(0, calls: Self.waiting, inside: true, age: 5.5),
      Self.rank(1, calls: Self.waiting, inside: true, age: 5.5),
      Self.rank(2, calls: Self.before, inside: false, age: 0, silence: 6, activity: .forward),
    ]
    #expect(
      Self.stall(ranks) == "rank 2 on node2 is silent, last seen in phase forward of epoch 2, "
        + "step 30, after call 1 (gather of 24 bytes); rank 0 on node0 has waited 5 s in call 2 "
        + "(barrier), phase reduce of epoch 2, step 30, and 1 more")
    var lost = ranks
    lost[2].isLost = true
    #expect(Self.stall(lost) == nil, "its launcher gets time to end the job")
    lost[0].report?.age = 15
    #expect(Self.stall(lost)?.hasPrefix("rank 2 on node2 is gone, last seen in") == true)
    (lost[2].report, lost[2].isLost) = (nil, false)
    #expect(Self.stall(lost)?.hasPrefix("rank 2 on node2 was never heard of; rank 0") == true)
  }

  @Test func aRankThatComputesForTooLongIsNamed() {
    let ranks = [
      Self.rank(0, calls: Self.before, inside: false, age: 7, activity: .evaluate),
      Self.rank(1, calls: Self.waiting, inside: true, age: 6),
    ]
    #expect(
      Self.stall(ranks) == "rank 0 on node0 has been in phase evaluate of epoch 2, step 30, after "
        + "call 1 (gather of 24 bytes) for 7 s; rank 1 on node1 has waited 6 s in call 2 (barrier), "
        + "phase reduce of epoch 2, step 30")
  }

  @Test func aRankThatWritesForTooLongIsNamed() {
    let writing: [(CallKind, Int)] = [(.createFile, 100), (.writeFile, 0)]
    let ranks = [
      Self.rank(0, calls: writing, inside: true, age: 9, activity: .checkpoint),
      Self.rank(1, calls: writing + [(.closeFile, 0)], inside: true, age: 6),
    ]
    #expect(
      Self.stall(ranks)?.hasPrefix("rank 0 on node0 is in call 2 (write a file), phase checkpoint")
        == true)
  }

  /// A disk that hangs: the others have left the call behind that it is in.
  @Test func aRankWhoseDiskHangsIsNamed() {
    let syncing: [(CallKind, Int)] = [(.createFile, 100), (.synchronizeFile, 0)]
    let late = Self.rank(0, calls: syncing, inside: true, age: 9, activity: .checkpoint)
    let waiter = Self.rank(1, calls: syncing + [(.closeFile, 0)], inside: true, age: 6)
    #expect(
      Self.stall([late, waiter]) == "rank 0 on node0 is in call 2 (bring a file to the disk), "
        + "phase checkpoint of epoch 2, step 30, for 9 s; rank 1 on node1 has waited 6 s in call 3 "
        + "(close a file), phase reduce of epoch 2, step 30")
    // Nobody is ahead: a disk that all share.
    #expect(Self.stall([late, late])?.hasPrefix("no rank is late, and yet") == true)
    // The one that is ahead has not waited for long enough.
    let soon = Self.rank(1, calls: syncing + [(.closeFile, 0)], inside: true, age: 4)
    #expect(StallJudgement.judge([late, soon], timeout: 5) == nil)
    // One that is ahead and computes waits for nobody.
    let busy = Self.rank(1, calls: syncing, inside: false, age: 4)
    #expect(Self.stall([late, busy])?.hasPrefix("no rank is late, and yet") == true)
  }

  @Test func nobodyWaitsTooLong() {
    let late = Self.rank(0, calls: Self.before, inside: false, age: 1000)
    let waiter = Self.rank(1, calls: Self.waiting, inside: true, age: 4.9)
    #expect(StallJudgement.judge([late, waiter], timeout: 5) == nil)
    // A silent rank that nobody waits for, and one that has left.
    let busy = Self.rank(1, calls: Self.before, inside: false, age: 100)
    let silent = Self.rank(2, calls: Self.before, inside: false, age: 0, silence: 100)
    #expect(StallJudgement.judge([busy, silent], timeout: 5) == nil)
    let done = Self.rank(2, calls: Self.waiting, inside: false, age: 0, silence: 100, state: .done)
    #expect(StallJudgement.judge([busy, done], timeout: 5) == nil)
    // Writing is working: nobody waits for it.
    let writer = Self.rank(0, calls: [(.writeFile, 0)], inside: true, age: 100)
    #expect(StallJudgement.judge([writer], timeout: 5) == nil)
  }

  /// A rank that failed ends the job itself; only if it does not, this does.
  @Test func aFailingRankGetsTime() {
    let failing = Self.rank(0, calls: Self.before, inside: false, age: 8, state: .failing)
    let waiter = { Self.rank(1, calls: Self.waiting, inside: true, age: $0) }
    #expect(StallJudgement.judge([failing, waiter(8)], timeout: 5) == nil)
    #expect(Self.stall([failing, waiter(15)]) != nil)
  }

  @Test func aCallThatNeverEndsIsToldToo() {
    let ranks = (0..<3).map { Self.rank($0, calls: Self.waiting, inside: true, age: 5) }
    #expect(
      Self.stall(ranks)?.hasPrefix("no rank is late, and yet a call does not end: rank 0") == true)
  }

  @Test func differentCallsAreToldAtOnce() {
    let ranks = [
      Self.rank(0, calls: Self.waiting, inside: true, age: 0.5),
      Self.rank(1, calls: Self.before + [(.sumDouble, 3)], inside: true, age: 0.5),
    ]
    #expect(
      StallJudgement.judge(ranks, timeout: 300)
        == .mismatch(
          CallMismatch(
            0, "call 2, barrier in phase reduce", 1, "sum of 3 Double in phase reduce")))
    // What moves may be half told.
    var moving = ranks
    moving[1].report?.age = 0
    #expect(StallJudgement.judge(moving, timeout: 300) == nil)
    // One rank is ahead, without having done anything else.
    let ahead = Self.rank(1, calls: Self.waiting + [(.barrier, 0)], inside: true, age: 1)
    #expect(StallJudgement.judge([ranks[0], ahead], timeout: 300) == nil)
  }

  @Test func reportsSurviveTheirMessages() throws {
    var report = try #require(
      Self.rank(
        3, calls: (1...20).map { (.broadcast, $0) }, inside: true, age: 1.25,
        activity: .evaluate
      ).report)
    report.code = 69
    let words = report.words(token: 5)
    #expect(words.count == RankReport.wordCount)
    #expect(RankReport(words: words, token: 5) == report)
    #expect(RankReport(words: words, token: 6) == nil)
    #expect(RankReport(words: Array(words.dropLast()), token: 5) == nil)
    let none = RankReport(rank: 0, state: .end)
    #expect(RankReport(words: none.words(token: 1), token: 1) == none)
    // Another program's bytes, with the right start.
    for index in 1..<11 {
      var damaged = words
      damaged[index] = .min
      _ = RankReport(words: damaged, token: 5)
    }
  }
}
