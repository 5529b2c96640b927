import Fabric
import TestSupport
import Testing

/// The digests by which ranks notice that they call different things.
@Suite struct CallTagTests {
  /// A history of broadcasts of so many bytes each.
  private static func history(_ counts: [Int], _ activity: Activity = .reduce) -> CallHistory {
    let history = CallHistory()
    for count in counts {
      history.begin(.broadcast, count: count, detail: 0, activity)
      history.end()
    }
    return history
  }

  @Test func theSameCallsHaveTheSameTag() {
    #expect(Self.history([1, 2, 3]).tag == Self.history([1, 2, 3]).tag)
    #expect(CallHistory().tag == CallHistory().tag)
  }

  /// Each part of a call counts, and so does the order, and every call before it.
  @Test func anyDifferenceChangesTheTag() {
    let tag = Self.history([1, 2]).tag
    for other in [[1], [2, 1], [1, 2, 2], [1, 3], [3, 2], [0, 1, 2]] {
      #expect(Self.history(other).tag != tag, "\(other)")
    }
    #expect(Self.history([1, 2], .forward).tag != tag)
    let (root, kind) = (CallHistory(), CallHistory())
    root.begin(.broadcast, count: 1, detail: 0, .reduce)
    kind.begin(.broadcast, count: 1, detail: 0, .reduce)
    #expect(root.tag == kind.tag)
    root.begin(.broadcast, count: 2, detail: 1, .reduce)
    kind.begin(.gather, count: 2, detail: 0, .reduce)
    #expect(Set([root.tag, kind.tag, tag]).count == 3)
  }

  @Test func theNewestCallsAreRemembered() throws {
    let counts = Array(1...CallHistory.length + 40)
    let recent = Self.history(counts).recent()
    #expect(recent.last == counts.count)
    #expect(recent.tags.map(\.count) == counts.suffix(CallHistory.length).map { Int64($0) })
    #expect(
      recent[counts.count]?.description == "broadcast of 296 bytes from rank 0 in phase reduce")
    #expect(recent[40] == nil && recent[41] != nil && recent[297] == nil)
    #expect(Self.history([5]).recent(3).tags.count == 1)
    #expect(CallHistory().recent().tags.isEmpty)
  }

  @Test func theFirstDifferenceIsNamed() throws {
    let mine = Self.history([1, 2, 3, 4]).recent()
    #expect(mine.mismatch(of: 0, with: Self.history([1, 2]).recent(), of: 1) == nil)
    let mismatch = try #require(
      mine.mismatch(of: 0, with: Self.history([1, 7, 3]).recent(), of: 3))
    #expect(
      mismatch.description == "ranks disagree: rank 0: call 2, broadcast of 2 bytes from rank 0 "
        + "in phase reduce; rank 3: broadcast of 7 bytes from rank 0 in phase reduce")
  }

  /// What differed is forgotten, the digest is not.
  @Test func oldDifferencesAreNoticed() throws {
    let long = Array(repeating: 1, count: 300)
    let mismatch = try #require(
      Self.history([2] + long).recent().mismatch(
        of: 0, with: Self.history([3] + long).recent(), of: 1))
    #expect(mismatch.calls[0].contains("after calls that are forgotten"))
  }

  @Test(
    .enabled(if: countsAllocations, "counted where the C library lets its allocator be counted"))
  func notingAllocatesNothing() {
    let history = CallHistory()
    let position = RankPosition()
    let before = allocationCount
    for number in 0..<1000 {
      try? position.enter(.reduce)
      position.begin(epoch: 1, step: number)
      history.begin(.barrier, count: 0, detail: 0, position.activity)
      history.end()
    }
    #expect(allocationCount == before)
  }

  @Test func aHookIsCalledUntilItHasHadEnough() throws {
    let position = RankPosition()
    position.begin(epoch: 1, step: 7)
    var seen: [Activity] = []
    position.callOnEntry { activity, step in
      #expect(step == 7)
      seen.append(activity)
      return activity == .forward
    }
    for activity in [Activity.sample, .forward, .reduce] { try position.enter(activity) }
    #expect(seen == [.sample, .forward])
    #expect(position.activity == .reduce && position.epoch == 1 && position.step == 7)
  }
}
