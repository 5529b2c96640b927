package import Fabric
import Foundation

/// What every process group must do: one suite for all conformers.
///
/// It runs inside one rank and knows no test library, because ranks of an MPI job are no test
/// processes. All expectations are closed forms of the ranks, so no rank needs another's word.
package struct ProcessGroupBehaviour {
  let group: any ProcessGroup
  /// A directory that exists on all ranks and is empty.
  let directory: String
  /// What was not as expected.
  var failures: [String] = []

  init(_ group: any ProcessGroup, _ directory: String) {
    self.group = group
    self.directory = directory
  }

  /// Runs the whole suite on the calling rank; every rank must do so.
  ///
  /// - Parameters:
  ///   - group: The ranks.
  ///   - directory: A directory that exists on all ranks and is empty.
  ///   - ranksPerMachine: How many ranks a machine holds, where they are pretended; else all ranks
  ///     are on one machine.
  /// - Returns: One line for each expectation that did not hold.
  /// - Throws: What the group throws.
  package static func check(
    _ group: any ProcessGroup, in directory: String, ranksPerMachine: Int? = nil
  ) throws -> [String] {
    var suite = ProcessGroupBehaviour(group, directory)
    suite.expect((0..<group.size).contains(group.rank), "the rank is in 0 ..< size")
    try suite.exchangeMovesUnequalParts()
    try suite.gatherMovesUnequalParts()
    try suite.broadcastOverwritesFromEveryRoot()
    try suite.sumsAndMaximaAreExactForSmallIntegers()
    try suite.barrierWaitsForAll()
    try suite.orderedSumFollowsTheTree()
    try suite.trafficIsCounted()
    suite.machinesHoldTheirRanks(ranksPerMachine)
    try suite.sharedPartsLieAsAsked()
    try suite.neighboursSeeEachOthersBytes()
    try suite.fencesOrderManyRounds()
    try suite.collectivesFitBetweenTheHalves()
    try suite.sharedMemoryIsCounted()
    try suite.routesDeliverMessagesOfAnyLength()
    try suite.otherCallsFitBetweenTheHalvesOfARound()
    try suite.oneMessageMayGoToSeveral()
    try suite.filesHoldWhatAllRanksWrote()
    try suite.writtenFilesAreReplaced()
    try suite.failedFileOperationsNameTheFile()
    return suite.failures.map { "rank \(group.rank): \($0)" }
  }

  mutating func expect(_ condition: Bool, _ expectation: String) {
    if !condition { failures.append(expectation) }
  }

  /// The byte number `index` of what rank `sender` sends to rank `receiver`.
  static func byte(_ sender: Int, _ receiver: Int, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: 31 * sender + 7 * receiver + index + 1)
  }

  /// Parts of `length(r)` bytes for each rank `r`.
  func partition(_ length: (Int) -> Int) -> Partition {
    Partition(counts: (0..<group.size).map(length))
  }

  private mutating func exchangeMovesUnequalParts() throws {
    let (rank, size) = (group.rank, group.size)
    // Rank pairs with nothing to say, with a few bytes, and one with many.
    let lengths: [(Int, Int) -> Int] = [
      { 3 * $0 + 5 * $1 - ($0 + $1) / 2 * 4 }, { ($0 + $1) % 2 * 5 }, { _, _ in 0 },
      { 1000 * $0 + 10 * $1 + 3 }, { $0 == size - 1 && $1 == 0 ? 70_001 : 0 },
    ]
    for (number, length) in lengths.enumerated() {
      let sendParts = partition { length(rank, $0) }
      let receiveParts = partition { length($0, rank) }
      let sent = (0..<size).flatMap { peer in
        (0..<length(rank, peer)).map { Self.byte(rank, peer, $0) }
      }
      let expected = (0..<size).flatMap { peer in
        (0..<length(peer, rank)).map { Self.byte(peer, rank, $0) }
      }
      var received = [UInt8](repeating: 0, count: receiveParts.total)
      unsafe try sent.withUnsafeBytes { send in
        unsafe try received.withUnsafeMutableBytes { receive in
          unsafe try group.exchange(send, sendParts, into: receive, receiveParts)
        }
      }
      expect(received == expected, "exchange \(number) delivers every part to its place")
    }
  }

  private mutating func gatherMovesUnequalParts() throws {
    let (rank, size) = (group.rank, group.size)
    let lengths: [(Int) -> Int] = [
      { 5 * ($0 + 1) % 4 }, { _ in 0 }, { $0 == 0 ? 0 : 17 * $0 }, { _ in 4099 },
    ]
    for (number, length) in lengths.enumerated() {
      let parts = partition(length)
      let sent = (0..<length(rank)).map { Self.byte(rank, 0, $0) }
      let expected = (0..<size).flatMap { peer in
        (0..<length(peer)).map { Self.byte(peer, 0, $0) }
      }
      var received = [UInt8](repeating: 0, count: parts.total)
      unsafe try sent.withUnsafeBytes { send in
        unsafe try received.withUnsafeMutableBytes {
          unsafe try group.gather(send, into: $0, parts)
        }
      }
      expect(received == expected, "gather \(number) delivers all contributions in rank order")
    }
  }

  private mutating func broadcastOverwritesFromEveryRoot() throws {
    for root in 0..<group.size {
      for count in [0, 1, 13, 5000 + root] {
        var bytes = (0..<count).map { Self.byte(group.rank, 0, $0) }
        unsafe try bytes.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: root) }
        expect(
          bytes == (0..<count).map { Self.byte(root, 0, $0) },
          "broadcast of \(count) bytes from rank \(root) overwrites every other rank's")
      }
    }
  }

  private mutating func sumsAndMaximaAreExactForSmallIntegers() throws {
    let (rank, size) = (group.rank, group.size)
    for count in [0, 1, 100] {
      // Σ_r (r + 1)(i − 5) = (i − 5) P (P + 1) / 2, exact in every type.
      let expected = (0..<count).map { ($0 - 5) * size * (size + 1) / 2 }
      let mine = (0..<count).map { ($0 - 5) * (rank + 1) }
      var floats = mine.map { Float($0) }
      unsafe try floats.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
      expect(floats == expected.map { Float($0) }, "the sum of \(count) Float is exact")
      var doubles = mine.map { Double($0) }
      unsafe try doubles.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
      expect(doubles == expected.map { Double($0) }, "the sum of \(count) Double is exact")
      // Above 2⁵³: a sum taken in floating point would be seen.
      let large = Int64(1) << 55 + 1
      var integers = mine.map { Int64($0) + large }
      unsafe try integers.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
      expect(
        integers == expected.map { Int64($0) + Int64(size) * large },
        "the sum of \(count) Int64 is exact")
      // The largest of (r + 1)(i − 5) is the first rank's below zero and the last's above.
      var maxima = mine.map { Int64($0) }
      unsafe try maxima.withUnsafeMutableBufferPointer { unsafe try group.maximum($0) }
      expect(
        maxima == (0..<count).map { Int64($0 < 5 ? $0 - 5 : ($0 - 5) * size) },
        "the maximum of \(count) Int64 is the largest of all ranks")
    }
  }

  private mutating func barrierWaitsForAll() throws {
    let manager = FileManager.default
    expect(
      manager.createFile(atPath: "\(directory)/arrived-\(group.rank)", contents: nil),
      "a mark can be left in \(directory)")
    try group.barrier()
    for peer in 0..<group.size {
      expect(
        manager.fileExists(atPath: "\(directory)/arrived-\(peer)"),
        "rank \(peer) was at the barrier before it was left")
    }
  }

  private mutating func orderedSumFollowsTheTree() throws {
    // The fewest leaves that all of these ranks can share, and two sizes above.
    var shardCount = 1
    while shardCount < group.size { shardCount *= 2 }
    for shardCount in [shardCount, 4 * shardCount, max(16, shardCount)] {
      let tree = ShardTree(shardCount: shardCount, rankCount: group.size)
      for width in [1, 3] {
        let leaves = Reference.leaves(shardCount: shardCount, width: width)
        let run = tree.shards(of: group.rank)
        let mine = Array(leaves[run.lowerBound * width..<run.upperBound * width])
        let sum = try group.orderedSum(of: mine, width: width, over: tree)
        let expected = Reference.treeSum(leaves, width: width, 0..<shardCount)
        expect(
          sum.map(\.bitPattern) == expected.map(\.bitPattern),
          "the ordered sum of \(shardCount) shards, width \(width), has the bits of the tree")
      }
    }
  }

  private mutating func trafficIsCounted() throws {
    let (rank, size) = (group.rank, group.size)
    let before = group.traffic
    let others = size - 1
    var bytes = [UInt8](repeating: 0, count: 8 * size)
    let received = bytes
    let parts = partition { _ in 8 }
    unsafe try received.withUnsafeBytes { send in
      unsafe try bytes.withUnsafeMutableBytes { receive in
        unsafe try group.exchange(send, parts, into: receive, parts)
        unsafe try group.gather(UnsafeRawBufferPointer(rebasing: send[..<8]), into: receive, parts)
        unsafe try group.broadcast(receive, from: 0)
      }
    }
    var values: [Int64] = [1, 2, 3]
    unsafe try values.withUnsafeMutableBufferPointer {
      unsafe try group.sum($0)
      unsafe try group.maximum($0)
    }
    try group.barrier()
    expect(group.traffic.collectives - before.collectives == 6, "six collectives are counted")
    let alone = size == 1
    let sent = 8 * others + (alone ? 0 : 8 + (rank == 0 ? 8 * size : 0) + 24 + 24)
    expect(
      group.traffic.bytesSent - before.bytesSent == sent,
      "\(sent) bytes for other ranks are counted, not the own part")
  }
}
