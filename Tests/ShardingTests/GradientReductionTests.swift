import Fabric
import Kernels
import Sharding
import Testing

@Suite struct GradientReductionTests {
  static let problems = [
    GradientProblem(stride: 8, seed: 1), GradientProblem(stride: 8, seed: 2, density: 1),
    GradientProblem(stride: 8, seed: 3, density: 9),
  ]

  /// What the owners hold after each of the problems, with one exchange for all.
  private func sums(
    _ problems: [GradientProblem], ranks: Int, ordered: Bool
  ) throws -> [RowList] {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let stride = problems[0].stride
    let lists = try LocalGroup.run(ranks: ranks) { group in
      let exchange = GradientProblem.exchange(group, tree, stride: stride, ordered: ordered)
      return try problems.map { problem in
        let partials = problem.partials(of: group.rank, tree)
        return try withExtendedLifetime((exchange, partials)) {
          RowList(try exchange.reduceToOwners(partials), stride: stride)
        }
      }
    }
    for rank in 0..<ranks {
      let owned = GradientProblem.ownership(tree).rows(of: rank)
      #expect(lists[rank].allSatisfy { $0.keys.allSatisfy { owned.contains(Int($0)) } })
    }
    return problems.indices.map { problem in RowList.joined(lists.map { $0[problem] }) }
  }

  /// Problems of different sizes one after another: buffers grow, and what is stale is not seen.
  @Test(arguments: rankCounts) func ordersSumsAlongTheTree(ranks: Int) throws {
    let results = try sums(Self.problems, ranks: ranks, ordered: true)
    for (result, problem) in zip(results, Self.problems) {
      #expect(result.keys == problem.expected.keys)
      #expect(result.rows.bits == problem.expected.rows.bits)
    }
  }

  /// Without this the test above could not fail.
  @Test func otherOrdersGiveOtherBits() {
    let problem = Self.problems[1]
    let chain = (0..<UInt32(GradientProblem.itemCount)).flatMap { item in
      let rows = problem.leaves.compactMap { $0[item] }
      return rows.dropFirst().reduce(rows.first ?? []) { sum, row in
        zip(sum, row).map { $0 + $1 }
      }
    }
    #expect(chain.count == problem.expected.rows.count)
    #expect(chain.bits != problem.expected.rows.bits)
  }

  @Test(arguments: rankCounts) func anyOrderIsCloseToTheSum(ranks: Int) throws {
    let results = try sums(Self.problems, ranks: ranks, ordered: false)
    for (result, problem) in zip(results, Self.problems) {
      #expect(result.keys == problem.expected.keys)
      for (place, item) in result.keys.enumerated() {
        for column in 0..<problem.stride {
          let terms = problem.leaves.compactMap { $0[item].map { Double($0[column]) } }
          // 15 additions of at most 16 terms, whatever their order.
          let bound = 1.01 * 15 * roundoff * terms.reduce(0) { $0 + abs($1) }
          let error = Double(result.rows[place * problem.stride + column]) - terms.reduce(0, +)
          #expect(abs(error) <= bound)
        }
      }
    }
  }

  @Test(arguments: rankCounts) func nothingToSendIsNothingReceived(ranks: Int) throws {
    let empty = GradientProblem(stride: 16, seed: 1, density: .max)
    #expect(empty.expected.keys.isEmpty)
    #expect(try sums([empty], ranks: ranks, ordered: true) == [RowList()])
  }

  /// `8 + 4 · stride` bytes for each partial sum that leaves its rank, and the counts.
  @Test(arguments: rankCounts) func trafficIsAsDocumented(ranks: Int) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    let problem = Self.problems[0]
    let traffic = try LocalGroup.run(ranks: ranks) { group in
      let exchange = GradientProblem.exchange(group, tree, stride: problem.stride)
      _ = try exchange.reduceToOwners(problem.partials(of: group.rank, tree))
      return group.traffic
    }
    for rank in 0..<ranks {
      let leaving = problem.partials(of: rank, tree).keys.values
        .prefix(problem.partials(of: rank, tree).count)
        .count { !ownership.rows(of: rank).contains(Int($0)) }
      let bytes = leaving * (8 + 4 * problem.stride) + 8 * (ranks - 1)
      #expect(traffic[rank].bytesSent == bytes)
      #expect(traffic[rank].collectives == (ranks == 1 ? 0 : 2))
    }
  }
}
