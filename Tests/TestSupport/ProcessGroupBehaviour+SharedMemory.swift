import Fabric

// What neighbours write they see, when the fences say so, and nothing else.
extension ProcessGroupBehaviour {
  /// - Parameter ranksPerMachine: What the group was asked to pretend, if it was.
  mutating func machinesHoldTheirRanks(_ ranksPerMachine: Int?) {
    let machines = group.machines
    expect(machines.neighbours.indices.contains(machines.index), "a rank is its own neighbour")
    expect(
      machines.neighbours[machines.index] == group.rank, "the index is that of the own rank")
    expect(
      machines == .runs(of: ranksPerMachine, size: group.size, rank: group.rank),
      "the machines hold \(ranksPerMachine ?? group.size) ranks each, not \(machines)")
  }

  /// Part `r` has a length of its own, and some are empty.
  mutating func sharedPartsLieAsAsked() throws {
    let neighbours = group.machines.neighbours
    let lengths: [(Int) -> Int] = [
      { $0 % 2 == 0 ? 4096 * $0 + 12 : 0 }, { _ in 0 }, { $0 == 0 ? 0 : 8 },
      { 100_000 - 8 * $0 },
    ]
    for layout in [SharedMemoryLayout.separate, .joined] {
      for (number, length) in lengths.enumerated() {
        let memory = try group.shareMemory(byteCount: length(group.rank), layout)
        let whole = unsafe memory.whole
        let parts = unsafe neighbours.indices.map { unsafe memory.part(ofNeighbour: $0) }
        let name = "\(layout) memory \(number)"
        expect(
          unsafe parts.map(\.count) == neighbours.map(length), "the parts of \(name) are as long")
        expect(unsafe whole.allSatisfy { $0 == 0 }, "\(name) is zero")
        let starts = unsafe parts.map { Int(bitPattern: $0.baseAddress) }
        let first = Int(bitPattern: whole.baseAddress)
        expect(first % 4096 == 0, "\(name) starts on a page")
        let offsets = layout.ranges(of: neighbours.map(length)).map(\.lowerBound)
        expect(starts.map { $0 - first } == offsets, "the parts of \(name) lie at \(offsets)")
        // Nobody may write to what another one still compares with zero.
        try memory.fence()
        try memory.close()
      }
    }
    expect(
      SharedMemoryLayout.joined.ranges(of: [3, 0, 5]) == [0..<3, 3..<3, 3..<8],
      "joined parts follow each other")
    expect(
      SharedMemoryLayout.separate.ranges(of: [3, 0, 4097, 1])
        == [0..<3, 4096..<4096, 4096..<8193, 12288..<12289],
      "separate parts start on pages")
  }

  /// Every byte written by its owner, then every byte read by all, in one piece.
  mutating func neighboursSeeEachOthersBytes() throws {
    let machines = group.machines
    let count = 5003 + 17 * group.rank
    let memory = try group.shareMemory(byteCount: count, .joined)
    let own = unsafe memory.part(ofNeighbour: machines.index)
    for index in 0..<count { unsafe own[index] = Self.byte(group.rank, 0, index) }
    try memory.fence()
    let expected = machines.neighbours.flatMap { rank in
      (0..<5003 + 17 * rank).map { Self.byte(rank, 0, $0) }
    }
    expect(unsafe memory.whole.elementsEqual(expected), "neighbours see each other's bytes")
    // Now each writes into the part of the next one, which only then may look.
    try memory.fence()
    let next = (machines.index + 1) % machines.neighbours.count
    unsafe memory.part(ofNeighbour: next)[4000] = UInt8(machines.index + 1)
    try memory.fence()
    let previous =
      (machines.index + machines.neighbours.count - 1) % machines.neighbours.count
    expect(unsafe own[4000] == UInt8(previous + 1), "a neighbour may write into the own part")
    try memory.close()
  }

  /// Rounds of write, arrive, compute, wait, read with new values each: a fence that came too early
  /// once, or showed an older value, is seen in the sum.
  mutating func fencesOrderManyRounds() throws {
    let machines = group.machines
    let (words, rounds) = (64, 2000)
    let bytes = words * MemoryLayout<UInt64>.stride
    // Two memories, so that the one that is written is not the one that is still read.
    let memories = try (0..<2).map { _ in try group.shareMemory(byteCount: bytes, .separate) }
    let parts = unsafe memories.map { memory in
      unsafe machines.neighbours.indices.map {
        unsafe memory.part(ofNeighbour: $0).bindMemory(to: UInt64.self)
      }
    }
    var wrong = 0
    for round in 1...rounds {
      let own = unsafe parts[round % 2][machines.index]
      for word in 0..<words {
        unsafe own[word] = UInt64(round * 1_000_003 + group.rank * 101 + word)
      }
      try memories[round % 2].arrive()
      // Uneven work, so that each is late sometimes.
      var ballast = UInt64(round)
      for _ in 0..<(round + 37 * group.rank) % 64 { ballast = ballast &* 3 &+ 1 }
      if ballast == 0 { wrong += 1 }
      try memories[round % 2].wait()
      for (index, rank) in machines.neighbours.enumerated() {
        let theirs = unsafe parts[round % 2][index]
        for word in 0..<words
        where unsafe theirs[word] != UInt64(round * 1_000_003 + rank * 101 + word) {
          wrong += 1
        }
      }
    }
    expect(wrong == 0, "\(wrong) words of \(rounds) rounds were not those of the round")
    for memory in memories { try memory.close() }
  }

  /// Other collectives, on all ranks, may take place between the halves of a fence.
  mutating func collectivesFitBetweenTheHalves() throws {
    let memory = try group.shareMemory(byteCount: 8, .separate)
    let other = try group.shareMemory(byteCount: 0, .joined)
    let own = unsafe memory.part(ofNeighbour: group.machines.index)
    unsafe own.storeBytes(of: UInt64(group.rank), as: UInt64.self)
    try memory.arrive()
    try other.arrive()
    var values = [Int64(group.rank)]
    unsafe try values.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    try other.wait()
    try memory.wait()
    expect(
      values == [Int64(group.size * (group.size - 1) / 2)], "a sum fits between the halves")
    for (index, rank) in group.machines.neighbours.enumerated() {
      expect(
        unsafe memory.part(ofNeighbour: index).load(as: UInt64.self) == UInt64(rank),
        "a fence orders what was written before a sum")
    }
    try other.close()
    // The other one is left open: the group closes it.
  }

  mutating func sharedMemoryIsCounted() throws {
    let before = group.traffic
    let memory = try group.shareMemory(byteCount: 100, .separate)
    try memory.fence()
    try memory.arrive()
    try memory.wait()
    try memory.close()
    expect(
      group.traffic.collectives - before.collectives == 4,
      "making memory, two fences and closing are four collectives")
    expect(group.traffic.bytesSent == before.bytesSent, "sharing sends nothing")
  }
}
