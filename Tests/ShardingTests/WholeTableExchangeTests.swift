import Fabric
import Kernels
import Sharding
import Testing

/// Sums of whole tables against sums by hand.
@Suite struct WholeTableExchangeTests {
  private static let problems = [
    GradientProblem(stride: 8, seed: 1), GradientProblem(stride: 16, seed: 2, density: 1),
    GradientProblem(stride: 8, seed: 3, density: 9),
  ]

  private struct Result: Equatable, Sendable {
    var reduced: [Float]
    var gathered: [Float]
    var traffic: Traffic
  }

  /// Owned rows after a reduction, all rows after a gathering, and the traffic of both.
  private func results(
    _ problem: GradientProblem, ranks: Int, ordered: Bool = true
  ) throws -> [Result] {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    return try LocalGroup.run(ranks: ranks) { group in
      let partials = problem.partials(of: group.rank, tree)
      let exact = PartialRows(
        keys: AlignedBuffer(Array(partials.keys.values.prefix(partials.count))),
        blocks: AlignedBuffer(Array(partials.blocks.values.prefix(partials.count))),
        rows: AlignedBuffer(Array(partials.rows.values.prefix(partials.count * problem.stride))),
        stride: problem.stride)
      exact.count = partials.count
      let exchange = try WholeTableExchange(
        exact, group: group, ownership: GradientProblem.ownership(tree), shardCount: shardCount,
        ordered: ordered)
      let count = exchange.owned.count * problem.stride
      // Stale values must not be seen.
      let rows = AlignedBuffer([Float](repeating: .nan, count: count))
      let all = AlignedBuffer(
        [Float](repeating: .nan, count: GradientProblem.itemCount * problem.stride))
      let before = group.traffic
      for _ in 0..<2 { unsafe try exchange.reduce(exact, into: rows.pointer) }
      unsafe try exchange.gather(rows.pointer, into: all.pointer)
      var traffic = group.traffic
      traffic.collectives -= before.collectives
      traffic.bytesSent -= before.bytesSent
      return Result(reduced: rows.values, gathered: all.values, traffic: traffic)
    }
  }

  /// The whole table; rows without partial sums are zero.
  private func expected(_ problem: GradientProblem) -> [Float] {
    var table = [Float](repeating: 0, count: GradientProblem.itemCount * problem.stride)
    for (place, key) in problem.expected.keys.enumerated() {
      for column in 0..<problem.stride {
        table[Int(key) * problem.stride + column] =
          problem.expected.rows[place * problem.stride + column]
      }
    }
    return table
  }

  @Test(arguments: rankCounts) func sumsFollowTheTree(ranks: Int) throws {
    for problem in Self.problems {
      let (results, table) = (try results(problem, ranks: ranks), expected(problem))
      #expect(Array(results.map(\.reduced).joined()).bits == table.bits)
      for result in results { #expect(result.gathered.bits == table.bits) }
      // Ranks that own no rows are among them.
      let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
      if ranks == 8 {
        #expect(
          (0..<ranks).contains { GradientProblem.ownership(tree).rows(of: $0).isEmpty })
      }
    }
  }

  @Test(arguments: rankCounts) func anyOrderIsCloseToTheSum(ranks: Int) throws {
    let problem = Self.problems[1]
    let found = try results(problem, ranks: ranks, ordered: false).map(\.reduced).joined()
    for (place, value) in found.enumerated() {
      let (item, column) = (UInt32(place / problem.stride), place % problem.stride)
      let terms = problem.leaves.compactMap { $0[item].map { Double($0[column]) } }
      // 15 additions of at most 16 terms, whatever their order.
      let bound = 1.01 * 15 * roundoff * terms.reduce(0) { $0 + abs($1) }
      #expect(abs(Double(value) - terms.reduce(0, +)) <= bound)
    }
  }

  @Test(arguments: rankCounts) func withoutPartialSumsAllRowsAreZero(ranks: Int) throws {
    let empty = GradientProblem(stride: 8, seed: 1, density: .max)
    for result in try results(empty, ranks: ranks) {
      #expect(result.reduced.allSatisfy { $0 == 0 } && result.gathered.allSatisfy { $0 == 0 })
    }
  }

  /// `4 · stride` bytes for each partial sum that leaves its rank; a rank alone calls nobody.
  @Test(arguments: rankCounts) func trafficIsAsDocumented(ranks: Int) throws {
    let problem = Self.problems[0]
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    for (rank, result) in try results(problem, ranks: ranks).enumerated() {
      let partials = problem.partials(of: rank, tree)
      let leaving = partials.keys.values.prefix(partials.count)
        .count { !ownership.rows(of: rank).contains(Int($0)) }
      let gathered = ownership.rows(of: rank).count
      #expect(result.traffic.collectives == (ranks == 1 ? 0 : 3))
      #expect(
        result.traffic.bytesSent == 4 * problem.stride * (2 * leaving + (ranks > 1 ? gathered : 0)))
    }
  }
}
