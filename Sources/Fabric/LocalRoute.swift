/// The messages of ranks that are threads: receivers copy them out of the senders' memory.
///
/// Two fences of all ranks stand for the two halves of a round: behind the first the messages can
/// be read, behind the second their senders may overwrite them.
///
/// Safe to use: addresses of messages are read only between the fences, while they are valid.
@safe
final class LocalRoute: MessageRoute {
  let limits: [Int]
  /// Part `s` holds, for each rank, the address and the length of the message of rank `s`.
  private let block: LocalMemory.Block
  private let group: LocalGroup
  private let target: UnsafeMutableRawBufferPointer
  private let room: Partition
  /// Keeps the memory of the messages.
  private let owners: [AnyObject]
  private var state = RoundState()

  fileprivate init(
    limits: [Int], block: LocalMemory.Block, group: LocalGroup,
    target: UnsafeMutableRawBufferPointer, room: Partition, owners: [AnyObject]
  ) {
    self.limits = limits
    self.block = block
    self.group = group
    unsafe self.target = unsafe target
    self.room = room
    self.owners = owners
  }

  static let entryBytes = 16

  func start(_ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>]) throws {
    group.traffic.count(unsafe state.start(bytes, messages, limits), of: group.size)
    let own = unsafe block.memory.part(group.rank)
    for (rank, message) in messages.enumerated() {
      let address = Int(bitPattern: bytes.baseAddress) + message.lowerBound
      unsafe own.storeBytes(of: address, toByteOffset: Self.entryBytes * rank, as: Int.self)
      unsafe own.storeBytes(
        of: message.count, toByteOffset: Self.entryBytes * rank + 8, as: Int.self)
    }
    try group.meeting.arrive(group.rank, group.rank, at: block)
  }

  func finish() throws {
    state.finish()
    try group.meeting.wait(group.rank, group.rank, at: block)
    for sender in 0..<group.size where room.counts[sender] > 0 {
      let entry = unsafe UnsafeRawBufferPointer(block.memory.part(sender))
      let offset = Self.entryBytes * group.rank
      let count = unsafe entry.load(fromByteOffset: offset + 8, as: Int.self)
      guard count > 0 else { continue }
      let start = unsafe UnsafeRawPointer(
        bitPattern: entry.load(fromByteOffset: offset, as: Int.self))
      let place = unsafe UnsafeMutableRawBufferPointer(
        rebasing: target[room.range(of: sender)])
      unsafe place.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
    }
    try group.meeting.arrive(group.rank, group.rank, at: block)
    try group.meeting.wait(group.rank, group.rank, at: block)
  }
}

extension LocalGroup {
  package func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe requireRoute(target, room)
    traffic.count(0, of: size)
    let number = memoryCount
    memoryCount += 1
    var call = unsafe Meeting.Call(title: "make a route of messages", receiveParts: room)
    try meeting.meet(rank, call)
    let limits = (0..<size).map { meeting.call(of: $0).receiveParts.counts[rank] }
    if rank == 0 {
      let counts = [Int](repeating: LocalRoute.entryBytes * size, count: size)
      call.block = LocalMemory.Block(
        number: number, memory: PageMemory(counts: counts, .separate),
        neighbours: Array(0..<size), name: "route")
    }
    // The first rank brings the memory to the second meeting.
    try meeting.meet(rank, call)
    guard let block = meeting.call(of: 0).block else {
      preconditionFailure("the first rank makes the memory of a route")
    }
    return unsafe LocalRoute(
      limits: limits, block: block, group: self, target: target, room: room, owners: owners)
  }
}
