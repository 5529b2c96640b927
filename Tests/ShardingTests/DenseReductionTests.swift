import Fabric
import Kernels
import Sharding
import TestSupport
import Testing

@Suite struct DenseReductionTests {
  private static let width = 24
  private static let figureCount = 3

  /// What every shard contributes in a round, `(S, width)` and `(S, figureCount)`.
  private static func gradients(_ round: Int) -> [Float] {
    var draws = Draws(seed: UInt64(round))
    return draws.floats(shardCount * width)
  }
  private static func figures(_ round: Int) -> [Double] {
    Reference.leaves(shardCount: shardCount, width: figureCount, seed: UInt64(round + 1))
  }
  private static func note(_ rank: Int, _ round: Int) -> Int64 {
    [[-5, -3, -9][rank % 3], rank == 1 ? 1 : 0][round]
  }

  /// The gradient sums along the tree.
  private static func treeSum(_ leaves: [Float], _ shards: Range<Int>) -> [Float] {
    if shards.count == 1 {
      return Array(leaves[shards.lowerBound * width..<shards.upperBound * width])
    }
    let middle = shards.lowerBound + shards.count / 2
    return zip(
      treeSum(leaves, shards.lowerBound..<middle), treeSum(leaves, middle..<shards.upperBound)
    ).map { $0 + $1 }
  }

  private struct Outcome: Sendable {
    var sum: [Float]
    var figures: [Double]
    var note: Int64
  }

  /// Two rounds with the same object, on every rank.
  private static func reduce(
    _ group: any ProcessGroup, ordered: Bool, width: Int = Self.width
  ) throws -> [Outcome] {
    let tree = ShardTree(shardCount: shardCount, rankCount: group.size)
    let reduction = DenseReduction(
      group: group, tree: tree, width: width, figureCount: figureCount, ordered: ordered)
    let own = tree.shards(of: group.rank)
    return try (0..<2).map { round in
      let (gradients, figures) = (gradients(round), figures(round))
      for (local, shard) in own.enumerated() {
        for column in 0..<width {
          unsafe reduction.leaves.pointer[local * width + column] =
            gradients[shard * Self.width + column]
        }
        for index in 0..<figureCount {
          unsafe reduction.figureLeaves.pointer[local * figureCount + index] =
            figures[shard * figureCount + index]
        }
      }
      reduction.note = note(group.rank, round)
      try reduction.reduce()
      return withExtendedLifetime(reduction) {
        Outcome(
          sum: (0..<width).map { unsafe reduction.sum[$0] },
          figures: (0..<figureCount).map { reduction.figure($0) }, note: reduction.largestNote)
      }
    }
  }

  @Test(arguments: rankCounts) func sumsFollowTheTreeOnEveryRank(ranks: Int) throws {
    let outcomes = try LocalGroup.run(ranks: ranks) { try Self.reduce($0, ordered: true) }
    for outcome in outcomes {
      for round in 0..<2 {
        let sum = Self.treeSum(Self.gradients(round), 0..<shardCount)
        #expect(outcome[round].sum.bits == sum.bits)
        let figures = Reference.treeSum(
          Self.figures(round), width: Self.figureCount, 0..<shardCount)
        #expect(outcome[round].figures == figures)
        #expect(outcome[round].note == (0..<ranks).map { Self.note($0, round) }.max())
      }
    }
  }

  @Test func aloneNoLibraryIsNeeded() throws {
    let outcome = try Self.reduce(SoloGroup(), ordered: true)
    #expect(outcome[1].sum.bits == Self.treeSum(Self.gradients(1), 0..<shardCount).bits)
    #expect(outcome[0].note == -5)
  }

  /// Figures decide branches, so they follow the tree in any case.
  @Test(arguments: rankCounts) func nativeSumsAreCloseAndFiguresExact(ranks: Int) throws {
    let outcomes = try LocalGroup.run(ranks: ranks) { try Self.reduce($0, ordered: false) }
    for outcome in outcomes {
      for round in 0..<2 {
        let leaves = Self.gradients(round)
        for column in 0..<Self.width {
          let terms = (0..<shardCount).map { Double(leaves[$0 * Self.width + column]) }
          // 15 additions of 16 terms, whatever their order.
          let bound = 1.01 * 15 * roundoff * terms.reduce(0) { $0 + abs($1) }
          #expect(abs(Double(outcome[round].sum[column]) - terms.reduce(0, +)) <= bound)
        }
        let figures = Reference.treeSum(
          Self.figures(round), width: Self.figureCount, 0..<shardCount)
        #expect(outcome[round].figures == figures)
      }
      #expect(outcome.map(\.sum.bits) == outcomes[0].map(\.sum.bits))
    }
  }

  /// A reduction for losses only.
  @Test(arguments: rankCounts) func widthMayBeZero(ranks: Int) throws {
    let outcomes = try LocalGroup.run(ranks: ranks) {
      try Self.reduce($0, ordered: true, width: 0)
    }
    let figures = Reference.treeSum(Self.figures(1), width: Self.figureCount, 0..<shardCount)
    for outcome in outcomes { #expect(outcome[1].figures == figures) }
  }

  /// Every rank hears of one that has called something else before, and of nothing else.
  @Test(arguments: [2, 3, 4]) func otherCallsOfOneRankAreHeardByAll(ranks: Int) throws {
    for differing in [0, ranks - 1, ranks] {
      let heard = try LocalGroup.run(ranks: ranks) { group in
        do {
          let tag: Int64 = group.rank == differing ? -2 : 3
          _ = try Self.reduce(TaggedGroup(group, callTag: tag), ordered: true)
          return false
        } catch is CallMismatch {
          return true
        }
      }
      #expect(heard == [Bool](repeating: differing < ranks, count: ranks))
    }
  }

  @Test(arguments: rankCounts, [true, false])
  func trafficIsAsDocumented(ranks: Int, ordered: Bool) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let traffic = try LocalGroup.run(ranks: ranks) { group in
      _ = try Self.reduce(group, ordered: ordered)
      return group.traffic
    }
    for rank in 0..<ranks where ranks > 1 {
      let block = 4 * Self.width + 8 * Self.figureCount
      let native = ordered ? 0 : 4 * Self.width
      let bytes = tree.blocks(of: rank).count * block + 16 + native
      #expect(traffic[rank].bytesSent == 2 * bytes)
      #expect(traffic[rank].collectives == (ordered ? 2 : 4))
    }
    if ranks == 1 { #expect(traffic[0] == Traffic()) }
  }
}
