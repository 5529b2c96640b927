/// Shared memory of ranks that are threads, which share all memory anyway.
///
/// Fences are counted under the lock of the meeting, so that a rank that fails, returns or calls
/// something else ends the waiting of the others.
final class LocalMemory: SharedMemory {
  /// What the neighbours have in common.
  ///
  /// Safe to share: the arrivals are read and written under the lock of the meeting, the bytes as
  /// the fences order them.
  final class Block: @unchecked Sendable {
    let number: Int
    /// What it is part of, for messages.
    let name: String
    let memory: PageMemory
    let neighbours: [Int]
    /// How often each neighbour has arrived.
    var arrivals: [Int]
    /// The fences that have begun.
    var round: Int { arrivals.max() ?? 0 }

    init(number: Int, memory: PageMemory, neighbours: [Int], name: String = "memory") {
      self.number = number
      self.name = name
      self.memory = memory
      self.neighbours = neighbours
      arrivals = [Int](repeating: 0, count: neighbours.count)
    }

    /// The first rank that has not arrived `round` times.
    func late(for round: Int) -> Int? {
      arrivals.firstIndex { $0 < round }.map { neighbours[$0] }
    }

    /// Whether `rank` is a neighbour that has yet to arrive at the fence that has begun.
    func isLate(_ rank: Int) -> Bool {
      neighbours.firstIndex(of: rank).map { arrivals[$0] < round } ?? false
    }
  }

  /// One half of one fence, which all ranks must call in the same order.
  struct Half {
    let isArrival: Bool
    let block: Block

    var title: String {
      isArrival
        ? "arrive at a fence of \(block.name) \(block.number)"
        : "wait at a fence of \(block.name) \(block.number)"
    }

    func isSame(as other: Half) -> Bool {
      // Machines have blocks of their own with the same number.
      isArrival == other.isArrival && block.number == other.block.number
    }
  }

  private let block: Block
  private let group: LocalGroup
  private var state = FenceState()

  init(_ block: Block, of group: LocalGroup) {
    self.block = block
    self.group = group
  }

  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return unsafe block.memory.part(index)
  }

  var whole: UnsafeMutableRawBufferPointer {
    state.requireOpen()
    return unsafe block.memory.whole
  }

  func arrive() throws {
    state.arrive()
    group.traffic.count(0, of: group.size)
    try group.meeting.arrive(group.rank, group.machines.index, at: block)
  }

  func wait() throws {
    state.wait()
    try group.meeting.wait(group.rank, group.machines.index, at: block)
  }

  func close() throws {
    if state.hasArrived { try wait() }
    state.close()
    group.traffic.count(0, of: group.size)
    unsafe try group.meeting.meet(
      group.rank, Meeting.Call(title: "close memory \(block.number)"))
    group.memories[block.number] = nil
  }
}

extension LocalGroup {
  package func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    precondition(byteCount >= 0, "the length of a part must not be negative")
    traffic.count(0, of: size)
    let number = memoryCount
    memoryCount += 1
    var call = unsafe Meeting.Call(title: "share memory, \(layout)")
    call.byteCount = byteCount
    try meeting.meet(rank, call)
    if machines.index == 0 {
      let counts = machines.neighbours.map { meeting.call(of: $0).byteCount }
      call.block = LocalMemory.Block(
        number: number, memory: PageMemory(counts: counts, layout),
        neighbours: machines.neighbours)
    }
    // The first neighbour brings the memory to the second meeting.
    try meeting.meet(rank, call)
    guard let block = meeting.call(of: machines.neighbours[0]).block else {
      preconditionFailure("the first rank of a machine makes the memory")
    }
    memories[number] = block
    return LocalMemory(block, of: self)
  }
}
