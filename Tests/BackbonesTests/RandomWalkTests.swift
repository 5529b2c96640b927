import Backbones
import Fabric
import Kernels
import Sharding
import Testing

/// Neighbours that random walks find.
@Suite struct RandomWalkTests {
  private struct Lists: Equatable, Sendable {
    var users: [[UInt32: Float]] = []
    var items: [[UInt32: Float]] = []
    var order: [[UInt32]] = []
  }

  private func lists(_ plan: RandomWalks.Plan, ranks: Int, edges: [[Int]]? = nil) throws -> Lists {
    let golden = try #require(GraphModelTests.golden)
    let problem = GraphProblem(
      edges: edges ?? golden.edges, neighbours: [],
      model: try #require(golden.models["lightgcn"])
    ) { LightGraphConvolution(factors: 8, layers: 1) }
    let parts = try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: GraphProblem.shardCount, rankCount: ranks)
      let neighbours = try RandomWalks(plan).neighbours(
        over: try problem.graph(tree, group))
      func read(_ rows: SparseRows) -> ([[UInt32: Float]], [[UInt32]]) {
        let (starts, columns) = (rows.starts.values, rows.columns.values)
        let values = rows.values?.values ?? []
        let entries = (0..<rows.rowCount).map { starts[$0]..<starts[$0 + 1] }
        return (
          entries.map { Dictionary(uniqueKeysWithValues: $0.map { (columns[$0], values[$0]) }) },
          entries.map { $0.map { columns[$0] } }
        )
      }
      let (users, items) = (read(neighbours.users), read(neighbours.items))
      return Lists(users: users.0, items: items.0, order: ranks == 1 ? users.1 + items.1 : [])
    }
    return parts.dropFirst().reduce(into: parts[0]) {
      $0.users += $1.users
      $0.items += $1.items
    }
  }

  private let plan = RandomWalks.Plan(seed: 5, walks: 40, length: 3, neighbours: 3)

  @Test func everyNumberOfRanksFindsTheSame() throws {
    let alone = try lists(plan, ranks: 1)
    for ranks in [2, 3, 4, 7] {
      let others = try lists(plan, ranks: ranks)
      #expect(others.users == alone.users && others.items == alone.items)
    }
    let other = try lists(.init(seed: 6, walks: 40, length: 3, neighbours: 3), ranks: 1)
    #expect(other != alone)
  }

  @Test func neighboursAreFewAndTheirWeightsAddUp() throws {
    let found = try lists(plan, ranks: 1)
    #expect(found.users.count == 7 && found.items.count == 6)
    for (node, list) in (found.users + found.items).enumerated() {
      // The user and the item without edges go nowhere, and nobody comes.
      if node == 3 || node == 7 + 4 {
        #expect(list.isEmpty)
        continue
      }
      #expect((1...3).contains(list.count))
      // Three quotients and two sums.
      #expect(abs(list.values.reduce(0, +) - 1) <= 5 * Float(roundoff))
      #expect(list[4] == nil)
      if node >= 7 { #expect(list[UInt32(node - 7)] == nil) }
      let order = found.order[node].map { list[$0] ?? 0 }
      #expect(order == order.sorted(by: >))
    }
  }

  /// Of a user's items a walk of one visit takes each alike: with w walks and d items a share has mean
  /// 1/d and deviation √((1 − 1/d) / (d w)); five are allowed.
  @Test func choicesAreUniform() throws {
    let walks = 4000
    let found = try lists(.init(seed: 8, walks: walks, length: 1, neighbours: 8), ranks: 1)
    for (user, items) in [(0, [0, 1, 5]), (4, [0, 2, 3, 5]), (5, [3])] {
      let count = Double(items.count)
      let deviation = ((1 - 1 / count) / (count * Double(walks))).squareRoot()
      #expect(Set(found.users[user].keys) == Set(items.map { UInt32($0) }))
      for share in found.users[user].values {
        #expect(abs(Double(share) - 1 / count) <= 5 * deviation + roundoff)
      }
    }
  }

  /// An item whose users have met nothing else has no neighbours.
  @Test func anItemIsNotItsOwnNeighbour() throws {
    let found = try lists(plan, ranks: 2, edges: [[0, 0], [1, 0], [2, 1], [2, 2]])
    #expect(found.items[0].isEmpty)
    #expect(found.items[1] == [2: 1] && found.items[2] == [1: 1])
    #expect(found.users[0] == [0: 1] && found.users[6].isEmpty)
  }
}
