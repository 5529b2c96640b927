import Fabric

/// A group that notes at which times its ranks' shared memory may not be read.
///
/// What it notes is read on the thread of its rank.
final class ObservedGroup: ProcessGroup {
  /// What a rank did.
  ///
  /// Safe to share: only the thread of its rank touches it before the group has ended.
  final class Ledger: @unchecked Sendable {
    /// Fences of this rank that it has arrived at and not waited for.
    var pending = 0
    /// Fences so far.
    var fences = 0
    /// Reads of item rows so far, and those of them with a fence pending.
    var reads = 0
    var earlyReads = 0

    func noteRead() {
      reads += 1
      if pending > 0 { earlyReads += 1 }
    }
  }

  private let inner: any ProcessGroup
  private let ledger: Ledger

  init(_ inner: any ProcessGroup, _ ledger: Ledger) {
    self.inner = inner
    self.ledger = ledger
  }

  var rank: Int { inner.rank }
  var size: Int { inner.size }
  var traffic: Traffic { inner.traffic }
  var machines: MachineMap { inner.machines }

  func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe try inner.exchange(send, sendParts, into: receive, receiveParts)
  }

  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe try inner.gather(send, into: receive, parts)
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    unsafe try inner.broadcast(bytes, from: root)
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws { unsafe try inner.sum(values) }
  func sum(_ values: UnsafeMutableBufferPointer<Double>) throws { unsafe try inner.sum(values) }
  func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws { unsafe try inner.sum(values) }

  func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try inner.maximum(values)
  }

  func barrier() throws { try inner.barrier() }

  func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    ObservedMemory(try inner.shareMemory(byteCount: byteCount, layout), ledger)
  }

  func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe try inner.makeRoute(into: target, room, keeping: owners)
  }

  func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try inner.open(path, mode)
  }

  func abort(_ reason: String, code: Int32) -> Never { inner.abort(reason, code: code) }
}

private final class ObservedMemory: SharedMemory {
  private let inner: any SharedMemory
  private let ledger: ObservedGroup.Ledger

  init(_ inner: any SharedMemory, _ ledger: ObservedGroup.Ledger) {
    self.inner = inner
    self.ledger = ledger
  }

  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer {
    unsafe inner.part(ofNeighbour: index)
  }

  var whole: UnsafeMutableRawBufferPointer { unsafe inner.whole }

  func arrive() throws {
    ledger.pending += 1
    ledger.fences += 1
    try inner.arrive()
  }

  func wait() throws {
    try inner.wait()
    ledger.pending -= 1
  }

  func close() throws { try inner.close() }
}
