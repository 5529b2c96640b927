import Fabric
import TestSupport

/// A group that notes at which times its ranks' shared memory may not be read.
///
/// What it notes is read on the thread of its rank.
final class ObservedGroup: ForwardingGroup {
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

  let inner: any ProcessGroup
  private let ledger: Ledger

  init(_ inner: any ProcessGroup, _ ledger: Ledger) {
    self.inner = inner
    self.ledger = ledger
  }

  func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    ObservedMemory(try inner.shareMemory(byteCount: byteCount, layout), ledger)
  }
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
