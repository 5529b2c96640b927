import Fabric
import Foundation

/// A group whose shared files fail on this rank after a number of calls, as a full disk does: the
/// rank takes part in the collective, but its bytes are not written.
final class FaultyGroup: ProcessGroup {
  private let inner: any ProcessGroup
  /// Calls of open, write and close that still succeed.
  fileprivate var callsLeft: Int

  init(_ inner: any ProcessGroup, callsBeforeFailure: Int) {
    self.inner = inner
    callsLeft = callsBeforeFailure
  }

  var rank: Int { inner.rank }
  var size: Int { inner.size }
  var traffic: Traffic { inner.traffic }
  var machines: MachineMap { inner.machines }

  fileprivate func count() throws {
    guard callsLeft > 0 else {
      throw SharedFileError("write", "model", rank: rank, reason: "No space left on device")
    }
    callsLeft -= 1
  }

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

  func shareMemory(byteCount: Int, _ layout: SharedMemoryLayout) throws -> any SharedMemory {
    try inner.shareMemory(byteCount: byteCount, layout)
  }

  func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe try inner.makeRoute(into: target, room, keeping: owners)
  }

  func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    let file = try inner.open(path, mode)
    try count()
    return FaultyFile(file, self)
  }

  func abort(_ reason: String, code: Int32) -> Never { inner.abort(reason, code: code) }
}

private final class FaultyFile: SharedFile {
  private let inner: any SharedFile
  private let group: FaultyGroup

  init(_ inner: any SharedFile, _ group: FaultyGroup) {
    self.inner = inner
    self.group = group
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    do {
      try group.count()
    } catch {
      unsafe try inner.write(UnsafeRawBufferPointer(start: nil, count: 0), at: offset)
      throw error
    }
    unsafe try inner.write(bytes, at: offset)
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    unsafe try inner.read(into: bytes, at: offset)
  }

  func close() throws {
    try inner.close()
    try group.count()
  }
}
