import Fabric
import Kernels
import Sharding
import Testing

@Suite struct RowOwnershipTests {
  @Test(arguments: rankCounts) func ranksOwnTheRowsOfTheirShards(ranks: Int) {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    #expect(ownership.rowCount == GradientProblem.itemCount)
    for rank in 0..<ranks {
      let rows = tree.shards(of: rank).flatMap { shard in
        Array(GradientProblem.itemStarts[shard]..<GradientProblem.itemStarts[shard + 1])
      }
      #expect(Array(ownership.rows(of: rank)) == rows)
    }
  }

  @Test(arguments: rankCounts) func keysGoToTheirOwners(ranks: Int) {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    var draws = Draws(seed: 3)
    for density in [1, 2, 9, 100] {
      let keys = (0..<UInt32(GradientProblem.itemCount)).filter { _ in
        draws.integer(below: density) == 0
      }
      // Stale counts must not show through.
      var parts = Partition(parts: ranks, of: 99)
      let buffer = AlignedBuffer(keys)
      unsafe ownership.partition(buffer.pointer, count: keys.count, into: &parts)
      withExtendedLifetime(buffer) {}
      let counts = (0..<ranks).map { rank in
        keys.count { ownership.rows(of: rank).contains(Int($0)) }
      }
      #expect(parts.counts == counts)
      #expect(parts.total == keys.count)
    }
  }

  @Test func aTableWithoutRowsHasOwners() {
    let tree = ShardTree(shardCount: 4, rankCount: 3)
    let ownership = RowOwnership(shardStarts: [0, 0, 0, 0, 0], tree: tree)
    #expect(ownership.rowCount == 0)
    #expect((0..<3).allSatisfy { ownership.rows(of: $0).isEmpty })
  }
}
