internal import Synchronization

/// The collectives of one rank: how many, the newest of them, and a digest of all.
///
/// Noting one costs some plain stores and three multiplications, and allocates nothing.
///
/// Safe to share: what other threads read is atomic. They may see a call half noted; whoever sees
/// the same ``moves`` before and after has read what was there between.
@safe
package final class CallHistory: @unchecked Sendable {
  /// How many calls are remembered: more than the largest step makes.
  package static let length = 256

  private let words: UnsafeMutablePointer<Atomic<Int64>>
  private let number = Atomic<Int>(0)
  private let isInsideCall = Atomic<Bool>(false)
  private let moveCount = Atomic<Int>(0)
  /// Of all calls so far; the working thread's own.
  private var hash: UInt64 = 0x9E37_79B9_7F4A_7C15

  package init() {
    let count = Self.length * CallTag.wordCount
    unsafe words = .allocate(capacity: count)
    for index in 0..<count { unsafe (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe words.deinitialize(count: Self.length * CallTag.wordCount)
    unsafe words.deallocate()
  }

  /// The calls so far.
  package var last: Int { number.load(ordering: .acquiring) }
  /// Whether the newest call has not returned.
  package var isInside: Bool { isInsideCall.load(ordering: .relaxed) }
  /// How often a call began or ended.
  package var moves: Int { moveCount.load(ordering: .acquiring) }
  /// The same number on all ranks that made the same calls; to be asked by the working thread.
  package var tag: Int64 { Int64(bitPattern: hash) }

  /// Notes that a call begins.
  package func begin(_ call: CallKind, count: Int, detail: Int64, _ activity: Activity) {
    let next = number.load(ordering: .relaxed) &+ 1
    // Odd multipliers keep all bits; the shift brings the high ones, which mix best, down again.
    hash =
      (hash ^ (hash >> 29)) &* 0xBF58_476D_1CE4_E5B9
      ^ UInt64(bitPattern: Int64(count)) &* 0x94D0_49BB_1331_11EB
      ^ UInt64(bitPattern: detail) &* 0xD6E8_FEB8_6659_FD93
      ^ (UInt64(bitPattern: call.rawValue) << 8 | UInt64(activity.rawValue))
    let place = unsafe words + next % Self.length * CallTag.wordCount
    unsafe place[0].store(call.rawValue, ordering: .relaxed)
    unsafe place[1].store(Int64(count), ordering: .relaxed)
    unsafe place[2].store(detail, ordering: .relaxed)
    unsafe place[3].store(Int64(activity.rawValue), ordering: .relaxed)
    unsafe place[4].store(Int64(bitPattern: hash), ordering: .relaxed)
    isInsideCall.store(true, ordering: .relaxed)
    number.store(next, ordering: .releasing)
    noteMove()
  }

  /// Notes that the newest call has returned.
  package func end() {
    isInsideCall.store(false, ordering: .relaxed)
    noteMove()
  }

  /// The newest `count` calls, fewer when there were fewer.
  package func recent(_ count: Int = CallHistory.length) -> RecentCalls {
    let last = last
    let first = max(1, last - min(count, Self.length) + 1)
    let tags = (first..<max(first, last + 1)).map { number in
      let place = unsafe words + number % Self.length * CallTag.wordCount
      return CallTag(
        words: (0..<CallTag.wordCount).map { unsafe place[$0].load(ordering: .relaxed) })
    }
    return RecentCalls(last: last, tags: tags)
  }

  private func noteMove() {
    moveCount.store(moveCount.load(ordering: .relaxed) &+ 1, ordering: .releasing)
  }
}
