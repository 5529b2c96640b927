import Fabric
import Kernels
import Sharding
import Testing

@Suite struct InteractionGraphTests {
  private static let userStarts = [0, 2, 2, 3, 5]
  private static let itemStarts = [0, 1, 1, 3, 4]
  /// By user; the third has none, nor has the last item.
  private static let edges: [[UInt32]] = [[0, 2], [1], [], [0, 1, 2], [2]]

  @Test(arguments: [1, 2, 3, 4]) func edgesAreOfOwnUsersAndDegreesOfAll(ranks: Int) throws {
    let tree = ShardTree(shardCount: 4, rankCount: ranks)
    _ = try LocalGroup.run(ranks: ranks) { group in
      let run = tree.shards(of: group.rank)
      let users = Self.userStarts[run.lowerBound]..<Self.userStarts[run.upperBound]
      var own = InteractionGraph.Edges()
      for user in users {
        own.items += Self.edges[user]
        own.starts.append(own.items.count)
      }
      let graph = try InteractionGraph(
        own, userStarts: Self.userStarts, itemStarts: Self.itemStarts, tree: tree,
        isOrdered: true, group: group)
      #expect(graph.firstUser == users.lowerBound)
      #expect(graph.userDegrees == users.map { Self.edges[$0].count })
      #expect(graph.itemDegrees == [2, 2, 3, 0])
      #expect(graph.edges.rowCount == users.count && graph.edges.columnCount == 4)
      #expect(
        Array(graph.edges.columns.values.prefix(graph.edges.entryCount))
          == users.flatMap { Self.edges[$0] })
      #expect(graph.userRanges.map(\.count).reduce(0, +) == users.count)
      #expect(
        graph.itemRanges.map(\.count).reduce(0, +) == graph.ownership.rows(of: group.rank).count)
      // One partial sum for each item and block of shards whose users have it, items ascending.
      let expected = (0..<UInt32(4)).flatMap { item in
        tree.blocks(of: group.rank).filter { block in
          (Self.userStarts[block.lowerBound]..<Self.userStarts[block.upperBound])
            .contains { Self.edges[$0].contains(item) }
        }.map { _ in item }
      }
      #expect(graph.transposed.keys.values == expected)
    }
  }
}
