import Foundation

/// The group of one rank: every collective is a copy, and no library is needed.
package final class SoloGroup: ProcessGroup {
  package let rank = 0
  package let size = 1
  package fileprivate(set) var traffic = Traffic()
  package let machines = MachineMap(keys: [0], rank: 0)
  /// The memories that are not closed.
  fileprivate var memories: [PageMemory] = []

  package let position: RankPosition

  /// - Parameter position: Where it tells what it is busy with.
  package init(position: RankPosition = RankPosition()) { self.position = position }

  package func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe requireExchange(send, sendParts, receive, receiveParts)
    traffic.count(0, of: size)
    guard sendParts.total == receiveParts.total else {
      throw CallMismatch(
        0, "exchange, sends \(sendParts.total) bytes to rank 0",
        0, "exchange, expects \(receiveParts.total) bytes from rank 0")
    }
    unsafe receive.copyMemory(from: UnsafeRawBufferPointer(rebasing: send[..<sendParts.total]))
  }

  package func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe requireGather(send, receive, parts)
    traffic.count(0, of: size)
    unsafe receive.copyMemory(from: send)
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    requireRoot(root)
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    traffic.count(0, of: size)
  }

  package func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    traffic.count(0, of: size)
  }

  package func barrier() throws {
    traffic.count(0, of: size)
  }

  package func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    precondition(byteCount >= 0, "the length of a part must not be negative")
    traffic.count(0, of: size)
    let memory = PageMemory(counts: [byteCount], layout)
    memories.append(memory)
    return SoloMemory(memory, of: self)
  }

  package func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe requireRoute(target, room)
    traffic.count(0, of: size)
    return SoloRoute(of: self)
  }

  package func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try PosixFile(path, mode, rank: rank) { _ in }
  }

  package func abort(_ reason: String, code: Int32) -> Never {
    writeToStandardError(line: failureLine(reason, rank: rank))
    exit(code == 0 ? 1 : code)
  }
}

/// The messages of one rank: nobody to send to.
private final class SoloRoute: MessageRoute {
  let limits = [0]
  private let group: SoloGroup
  private var state = RoundState()

  init(of group: SoloGroup) { self.group = group }

  func start(_ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>]) throws {
    group.traffic.count(unsafe state.start(bytes, messages, limits), of: group.size)
  }

  func finish() throws { state.finish() }
}

/// Shared memory of one rank: nobody to wait for.
private final class SoloMemory: SharedMemory {
  private let memory: PageMemory
  private let group: SoloGroup
  private var state = FenceState()

  init(_ memory: PageMemory, of group: SoloGroup) {
    self.memory = memory
    self.group = group
  }

  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return unsafe memory.part(index)
  }

  var whole: UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return unsafe memory.whole
  }

  func arrive() throws {
    state.arrive()
    group.traffic.count(0, of: group.size)
  }

  func wait() throws { state.wait() }

  func close() throws {
    if state.hasArrived { try wait() }
    state.close()
    group.memories.removeAll { $0 === memory }
    group.traffic.count(0, of: group.size)
  }
}
