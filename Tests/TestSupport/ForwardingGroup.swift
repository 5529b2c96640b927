package import Fabric

/// A group around another one: what a conformer does not do itself, the inner group does.
package protocol ForwardingGroup: ProcessGroup {
  var inner: any ProcessGroup { get }
}

extension ForwardingGroup {
  package var rank: Int { inner.rank }
  package var size: Int { inner.size }
  package var traffic: Traffic { inner.traffic }
  package var machines: MachineMap { inner.machines }
  package var hosts: [String] { inner.hosts }
  package var position: RankPosition { inner.position }
  package var callTag: Int64 { inner.callTag }

  package func explainDivergence() throws -> Never { try inner.explainDivergence() }

  package func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe try inner.exchange(send, sendParts, into: receive, receiveParts)
  }

  package func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe try inner.gather(send, into: receive, parts)
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    unsafe try inner.broadcast(bytes, from: root)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    unsafe try inner.sum(values)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    unsafe try inner.sum(values)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try inner.sum(values)
  }

  package func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try inner.maximum(values)
  }

  package func barrier() throws { try inner.barrier() }

  package func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    try inner.shareMemory(byteCount: byteCount, layout)
  }

  package func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe try inner.makeRoute(into: target, room, keeping: owners)
  }

  package func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try inner.open(path, mode)
  }

  package func abort(_ reason: String, code: Int32) -> Never { inner.abort(reason, code: code) }
}
