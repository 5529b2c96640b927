import Fabric
import TestSupport

/// A group whose own allocations are not counted: threads that stand for ranks talk in strings.
///
/// Used from the thread of its rank.
final class UncountedGroup: ForwardingGroup {
  /// What the group itself has asked for, on one rank.
  final class Ledger {
    var allocations = 0

    func leaveOut<Result>(_ body: () throws -> Result) rethrows -> Result {
      let before = allocationCount
      defer { allocations += allocationCount - before }
      return try body()
    }
  }

  let inner: any ProcessGroup
  let ledger = Ledger()

  init(_ inner: any ProcessGroup) { self.inner = inner }

  func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    try ledger.leaveOut {
      unsafe try inner.exchange(send, sendParts, into: receive, receiveParts)
    }
  }

  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    try ledger.leaveOut { unsafe try inner.gather(send, into: receive, parts) }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    try ledger.leaveOut { unsafe try inner.broadcast(bytes, from: root) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    try ledger.leaveOut { unsafe try inner.sum(values) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    try ledger.leaveOut { unsafe try inner.sum(values) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    try ledger.leaveOut { unsafe try inner.sum(values) }
  }

  func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    try ledger.leaveOut { unsafe try inner.maximum(values) }
  }

  func barrier() throws { try ledger.leaveOut { try inner.barrier() } }

  func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    UncountedMemory(try inner.shareMemory(byteCount: byteCount, layout), ledger)
  }

  func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe UncountedRoute(try inner.makeRoute(into: target, room, keeping: owners), ledger)
  }
}

private final class UncountedMemory: SharedMemory {
  private let inner: any SharedMemory
  private let ledger: UncountedGroup.Ledger

  init(_ inner: any SharedMemory, _ ledger: UncountedGroup.Ledger) {
    self.inner = inner
    self.ledger = ledger
  }

  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer {
    unsafe inner.part(ofNeighbour: index)
  }

  var whole: UnsafeMutableRawBufferPointer { unsafe inner.whole }

  func arrive() throws { try ledger.leaveOut { try inner.arrive() } }
  func wait() throws { try ledger.leaveOut { try inner.wait() } }
  func close() throws { try inner.close() }
}

private final class UncountedRoute: MessageRoute {
  let limits: [Int]
  private let inner: any MessageRoute
  private let ledger: UncountedGroup.Ledger

  init(_ inner: any MessageRoute, _ ledger: UncountedGroup.Ledger) {
    limits = inner.limits
    self.inner = inner
    self.ledger = ledger
  }

  func start(_ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>]) throws {
    try ledger.leaveOut { unsafe try inner.start(bytes, messages) }
  }

  func finish() throws { try ledger.leaveOut { try inner.finish() } }
}
