import Fabric

/// A group whose ranks say which calls they made, whatever they did.
final class TaggedGroup: ProcessGroup {
  private let inner: any ProcessGroup
  let callTag: Int64

  init(_ inner: any ProcessGroup, callTag: Int64) {
    self.inner = inner
    self.callTag = callTag
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
    try inner.shareMemory(byteCount: byteCount, layout)
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
