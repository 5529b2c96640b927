internal import Synchronization

/// Where in a run a rank is, told by its working thread and read by any other.
///
/// Telling costs two plain stores and allocates nothing.
///
/// Safe to share: what other threads read is atomic; the hook belongs to the working thread.
package final class RankPosition: @unchecked Sendable {
  /// The position of groups that nobody watches.
  package static let unwatched = RankPosition()

  private let activityNumber = Atomic<Int>(Activity.start.rawValue)
  private let epochNumber = Atomic<Int>(0)
  private let stepNumber = Atomic<Int>(0)
  private let moveCount = Atomic<Int>(0)
  private var hook: ((Activity, _ step: Int) throws -> Bool)?

  package init() {}

  package var activity: Activity {
    Activity(rawValue: activityNumber.load(ordering: .relaxed)) ?? .start
  }
  /// From 1; 0 before the first.
  package var epoch: Int { epochNumber.load(ordering: .relaxed) }
  /// Of the run, from 1; 0 before the first.
  package var step: Int { stepNumber.load(ordering: .relaxed) }
  /// How often something was told: whoever sees the same number twice knows that nothing was.
  package var moves: Int { moveCount.load(ordering: .acquiring) }

  /// Tells what begins.
  ///
  /// - Throws: What the hook throws; without one, nothing.
  @inline(__always)
  package func enter(_ activity: Activity) throws {
    activityNumber.store(activity.rawValue, ordering: .relaxed)
    noteMove()
    if hook != nil { try callHook(activity) }
  }

  /// Tells which step begins.
  package func begin(epoch: Int, step: Int) {
    epochNumber.store(epoch, ordering: .relaxed)
    stepNumber.store(step, ordering: .relaxed)
    noteMove()
  }

  /// Has `hook` called with each activity that begins, until it returns true: for tests that make
  /// a rank fail there. To be set by the working thread.
  package func callOnEntry(_ hook: @escaping (Activity, _ step: Int) throws -> Bool) {
    self.hook = hook
  }

  @inline(never)
  private func callHook(_ activity: Activity) throws {
    if try hook?(activity, step) == true { hook = nil }
  }

  private func noteMove() {
    // Only the working thread writes, so nothing can come between the load and the store.
    moveCount.store(moveCount.load(ordering: .relaxed) &+ 1, ordering: .releasing)
  }
}
