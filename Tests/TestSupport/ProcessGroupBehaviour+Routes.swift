import Fabric

// Messages whose lengths only their senders know.
extension ProcessGroupBehaviour {
  /// Who has a route to whom, and how long its messages may be.
  private func limit(_ sender: Int, _ receiver: Int) -> Int {
    sender == receiver || (sender + 2 * receiver) % 4 == 3 ? 0 : 40 + 300 * sender + receiver
  }

  /// Of some rounds nothing, of others all there is room for.
  private func length(_ sender: Int, _ receiver: Int, _ round: Int) -> Int {
    round % 5 == 0 ? 0 : limit(sender, receiver) * (round % 4 + 1) / 4
  }

  private static func byte(_ sender: Int, _ receiver: Int, _ round: Int, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: 53 * sender + 11 * receiver + 29 * round + index)
  }

  /// Many rounds without anything else that would order them.
  mutating func routesDeliverMessagesOfAnyLength() throws {
    let (rank, size) = (group.rank, group.size)
    let room = partition { limit($0, rank) }
    let target = Landing(count: room.total)
    let before = group.traffic
    let route = unsafe try group.makeRoute(into: target.bytes, room, keeping: [target])
    expect(route.limits == (0..<size).map { limit(rank, $0) }, "a route knows its limits")
    var (sent, wrong) = (0, 0)
    let rounds = 40
    for round in 1...rounds {
      var (bytes, messages): ([UInt8], [Range<Int>]) = ([], [])
      for peer in 0..<size {
        let start = bytes.count
        bytes += (0..<length(rank, peer, round)).map { Self.byte(rank, peer, round, $0) }
        messages.append(start..<bytes.count)
      }
      sent += bytes.count
      unsafe try bytes.withUnsafeBytes {
        unsafe try route.start($0, messages)
        try route.finish()
      }
      for peer in 0..<size {
        for index in 0..<length(peer, rank, round)
        where unsafe target.bytes[room.offsets[peer] + index]
          != Self.byte(peer, rank, round, index)
        {
          wrong += 1
        }
      }
    }
    expect(wrong == 0, "\(wrong) bytes of messages are not those of their round")
    expect(
      group.traffic.collectives - before.collectives == 1 + rounds,
      "making a route and each round are one collective")
    expect(
      group.traffic.bytesSent - before.bytesSent == sent,
      "messages are counted as long as they are")
  }

  /// Two routes, a sum and a fence, begun and ended across each other.
  mutating func otherCallsFitBetweenTheHalvesOfARound() throws {
    let (rank, size) = (group.rank, group.size)
    let room = partition { $0 == rank ? 0 : 8 }
    let targets = (0..<2).map { _ in Landing(count: room.total) }
    let ending = Landing(count: 8)
    let routes = try targets.map {
      unsafe try group.makeRoute(into: $0.bytes, room, keeping: [$0, ending])
    }
    let memory = try group.shareMemory(byteCount: 8, .separate)
    let messages = (0..<size).map { $0 == rank ? 0..<0 : 0..<8 }
    var values = [Int64(rank)]
    let words = [[UInt64(rank)], [UInt64(100 + rank)]]
    unsafe try words[0].withUnsafeBytes { first in
      unsafe try words[1].withUnsafeBytes { second in
        unsafe try routes[0].start(first, messages)
        try memory.arrive()
        unsafe try routes[1].start(second, messages)
        unsafe try values.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
        try routes[1].finish()
        try memory.wait()
        try routes[0].finish()
      }
    }
    expect(values == [Int64(size * (size - 1) / 2)], "a sum fits into a round")
    for peer in 0..<size where peer != rank {
      for (number, target) in targets.enumerated() {
        let word = unsafe target.bytes.loadUnaligned(
          fromByteOffset: room.offsets[peer], as: UInt64.self)
        expect(word == UInt64(100 * number + peer), "route \(number) delivers its own messages")
      }
    }
    try memory.close()
    // The group ends what has begun, with the memory that the route keeps.
    unsafe try routes[1].start(UnsafeRawBufferPointer(ending.bytes), messages)
  }

  /// The first rank tells all the others the same, and hears nothing.
  mutating func oneMessageMayGoToSeveral() throws {
    let rank = group.rank
    let room = partition { $0 == 0 && rank > 0 ? 5000 : 0 }
    let target = Landing(count: room.total)
    let route = unsafe try group.makeRoute(into: target.bytes, room, keeping: [target])
    let bytes = rank == 0 ? (0..<4097).map { Self.byte(0, 0, 0, $0) } : []
    let messages = (0..<group.size).map { rank == 0 && $0 > 0 ? 1..<4097 : 0..<0 }
    unsafe try bytes.withUnsafeBytes {
      unsafe try route.start($0, messages)
      try route.finish()
    }
    let arrived = unsafe Array(target.bytes.prefix(4096))
    expect(
      arrived == (rank > 0 ? (1..<4097).map { Self.byte(0, 0, 0, $0) } : []),
      "the same message reaches all it is for")
  }
}

/// Memory for messages.
///
/// Safe to use: the bytes live as long as this object.
@safe
private final class Landing {
  let bytes: UnsafeMutableRawBufferPointer

  init(count: Int) {
    unsafe bytes = .allocate(byteCount: count, alignment: 64)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe bytes.deallocate() }
}
