import Fabric
import TestSupport
import Testing

@Suite struct ShardTreeTests {
  /// Every division of up to 32 shards.
  static let trees: [ShardTree] = [1, 2, 4, 8, 16, 32].flatMap { shardCount in
    (1...shardCount).map { ShardTree(shardCount: shardCount, rankCount: $0) }
  }

  @Test func everyShardHasOneOwner() {
    for tree in Self.trees {
      var next = 0
      for rank in 0..<tree.rankCount {
        let run = tree.shards(of: rank)
        #expect(run.lowerBound == next && !run.isEmpty, "\(tree), rank \(rank)")
        #expect(run.allSatisfy { tree.owner(of: $0) == rank }, "\(tree), rank \(rank)")
        next = run.upperBound
      }
      #expect(next == tree.shardCount)
      let lengths = (0..<tree.rankCount).map { tree.shards(of: $0).count }
      #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1, "\(tree) is balanced")
    }
  }

  @Test func blocksAreAlignedAndCoverTheRun() {
    for tree in Self.trees {
      for rank in 0..<tree.rankCount {
        let blocks = tree.blocks(of: rank)
        #expect(Array(blocks.joined()) == Array(tree.shards(of: rank)), "\(tree), rank \(rank)")
        for block in blocks {
          #expect(block.count & (block.count - 1) == 0 && block.lowerBound % block.count == 0)
        }
        // Largest: two neighbours never make up one larger node.
        for (left, right) in zip(blocks, blocks.dropFirst()) where left.count == right.count {
          #expect(left.lowerBound % (2 * left.count) != 0, "\(tree), rank \(rank)")
        }
        if tree.rankCount & (tree.rankCount - 1) == 0 {
          #expect(blocks.count == 1, "one partial sum per rank for a power of two")
        }
      }
    }
  }

  @Test(arguments: [1, 2, 16, 32])
  func reducingBlocksFirstGivesTheBitsOfTheWholeTree(shardCount: Int) {
    for rankCount in 1...min(16, shardCount) {
      let tree = ShardTree(shardCount: shardCount, rankCount: rankCount)
      for (seed, width) in [(1, 1), (2, 2), (3, 5)] as [(UInt64, Int)] {
        let leaves = Reference.leaves(shardCount: shardCount, width: width, seed: seed)
        // Each block alone, its sum left in its first row, then what is left of the tree.
        var values = leaves
        var starts: Set<Int> = []
        for block in (0..<rankCount).flatMap({ tree.blocks(of: $0) }) {
          let rows = block.lowerBound * width..<block.upperBound * width
          var part = Array(values[rows])
          tree.reduce(&part, width: width, shards: block)
          values.replaceSubrange(rows, with: part)
          starts.insert(block.lowerBound)
        }
        tree.reduce(&values, width: width, shards: 0..<shardCount) { starts.contains($0) }
        let expected = Reference.treeSum(leaves, width: width, 0..<shardCount)
        #expect(
          values.prefix(width).map(\.bitPattern) == expected.map(\.bitPattern),
          "S = \(shardCount), P = \(rankCount), width \(width)")
      }
    }
  }

  /// The promise itself: all ranks of all divisions, through a real group.
  @Test func orderedSumsHaveTheSameBitsForEveryNumberOfRanks() throws {
    let leaves = Reference.leaves(shardCount: 16, width: 3)
    let expected = Reference.treeSum(leaves, width: 3, 0..<16).map(\.bitPattern)
    for ranks in 1...16 {
      let sums = try LocalGroup.run(ranks: ranks) { group in
        let tree = ShardTree(shardCount: 16, rankCount: group.size)
        let run = tree.shards(of: group.rank)
        let mine = Array(leaves[run.lowerBound * 3..<run.upperBound * 3])
        return try group.orderedSum(of: mine, width: 3, over: tree).map(\.bitPattern)
      }
      #expect(sums == [[UInt64]](repeating: expected, count: ranks), "P = \(ranks)")
    }
    // The leaves are chosen such that order matters; otherwise nothing was shown.
    let inRowOrder = stride(from: 0, to: leaves.count, by: 3).reduce(0) { $0 + leaves[$1] }
    #expect(inRowOrder.bitPattern != expected[0])
  }

  @Test func impossibleDivisionsStopTheProgram() async {
    await #expect(processExitsWith: .failure) { _ = ShardTree(shardCount: 12, rankCount: 1) }
    await #expect(processExitsWith: .failure) { _ = ShardTree(shardCount: 4, rankCount: 5) }
  }
}
