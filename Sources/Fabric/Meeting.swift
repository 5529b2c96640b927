import Foundation

/// Where the threads of a ``LocalGroup`` wait for each other, and learn that one has failed.
///
/// Safe to share: everything is read and written under one lock, except that between two meetings
/// each rank reads the buffers the others posted, which stay put until all have met again.
@safe
final class Meeting: @unchecked Sendable {
  /// What a rank brings to a meeting.
  ///
  /// Safe to pass on: only the meeting's ranks read the bytes, and only while they are posted.
  @safe
  struct Call {
    /// The operation with everything that must be the same on all ranks.
    var title: String
    var bytes = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    var sendParts = Partition(counts: [])
    var receiveParts = Partition(counts: [])
    /// The length of a part of shared memory, and the memory that was made.
    var byteCount = 0
    var block: LocalMemory.Block?
  }

  let condition = NSCondition()
  private let size: Int
  private(set) var calls: [Call]
  /// The calls of the last meeting: `calls` may already hold those for the next.
  private var posted: [Call] = []
  private(set) var arrived: [Bool]
  private(set) var finished: [Bool]
  private var generation = 0
  /// The halves of fences that the rank in front has called; all ranks must call the same.
  var halves: [LocalMemory.Half] = []
  /// How many of them each rank has called.
  var halfCounts: [Int]
  /// The rank's last half when it is waiting for others to arrive.
  var waiting: [LocalMemory.Half?]
  /// Why no meeting will take place any more.
  private(set) var obstacle: (any Error)?
  private var firstError: (any Error)?

  init(size: Int) {
    self.size = size
    calls = unsafe [Call](repeating: Call(title: ""), count: size)
    arrived = [Bool](repeating: false, count: size)
    finished = arrived
    halfCounts = [Int](repeating: 0, count: size)
    waiting = [LocalMemory.Half?](repeating: nil, count: size)
  }

  /// The call that `rank` brought to the last meeting.
  func call(of rank: Int) -> Call {
    condition.lock()
    defer { condition.unlock() }
    return posted[rank]
  }

  /// Waits for all ranks.
  ///
  /// - Throws: `CallMismatch` when the calls do not fit together or a rank has returned,
  ///   `PeerFailure` when one has failed.
  func meet(_ rank: Int, _ call: Call) throws {
    condition.lock()
    defer { condition.unlock() }
    if let obstacle { throw obstacle }
    calls[rank] = call
    arrived[rank] = true
    if let other = finished.firstIndex(of: true) {
      try fail(with: CallMismatch(rank, call.title, other, "returned"))
    }
    try refuseToLeaveWaiting(rank, call.title)
    guard arrived.allSatisfy({ $0 }) else {
      let mine = generation
      while generation == mine {
        if let obstacle { throw obstacle }
        condition.wait()
      }
      return
    }
    if let mismatch = Self.mismatch(calls) { try fail(with: mismatch) }
    try requireSameHalves()
    posted = calls
    for rank in 0..<size { arrived[rank] = false }
    generation += 1
    condition.broadcast()
  }

  /// Notes that `rank` makes no more calls, because it is done or because of `error`.
  func finish(_ rank: Int, _ error: (any Error)?) {
    condition.lock()
    defer { condition.unlock() }
    finished[rank] = true
    if let error {
      if firstError == nil { firstError = error }
      if obstacle == nil { obstacle = PeerFailure(rank: rank, reason: "\(error)") }
    } else if obstacle == nil, let other = arrived.firstIndex(of: true) {
      obstacle = CallMismatch(other, calls[other].title, rank, "returned")
    } else if obstacle == nil,
      let other = waiting.firstIndex(where: { $0?.block.isLate(rank) == true }),
      let half = waiting[other]
    {
      obstacle = CallMismatch(other, half.title, rank, "returned")
    }
    condition.broadcast()
  }

  /// Waits until all ranks have finished; returns the error that came first.
  func waitForAll() -> (any Error)? {
    condition.lock()
    defer { condition.unlock() }
    while !finished.allSatisfy({ $0 }) { condition.wait() }
    return firstError
  }

  /// Notes why no meeting will take place any more, and tells the ranks that wait.
  func fail(with error: any Error) throws -> Never {
    obstacle = error
    condition.broadcast()
    throw error
  }

  private static func mismatch(_ calls: [Call]) -> CallMismatch? {
    let first = calls[0]
    for (rank, call) in calls.enumerated() where call.title != first.title {
      return CallMismatch(0, first.title, rank, call.title)
    }
    for (sender, call) in calls.enumerated() {
      for (receiver, sent) in call.sendParts.counts.enumerated() {
        let expected = calls[receiver].receiveParts.counts[sender]
        guard sent != expected else { continue }
        return CallMismatch(
          sender, "\(call.title), sends \(sent) bytes to rank \(receiver)",
          receiver, "\(call.title), expects \(expected) bytes from rank \(sender)")
      }
    }
    return nil
  }
}
