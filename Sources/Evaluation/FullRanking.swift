package import Fabric

/// The metrics of rankings of all items, whose users are spread over any number of ranks.
package enum FullRanking {
  /// Every rank gets the same metrics, bit for bit, and the same for every number of ranks.
  ///
  /// - Parameters:
  ///   - shards: One for each shard of this rank, in order, all of the same cut-offs.
  ///   - cutoffs: Those of the sums.
  ///   - tree: The shards and their owners.
  ///   - group: All ranks.
  /// - Returns: The metrics of the users of all ranks.
  /// - Throws: What the group throws.
  /// - Complexity: two collectives: `8 · (1 + 5 · cut-offs)` bytes for each block of shards of a
  ///   rank, and 32 bytes.
  package static func metrics(
    _ shards: [RankingSums], cutoffs: [Int], tree: ShardTree, group: any ProcessGroup
  ) throws -> RankingMetrics {
    let totals = try RankingTotals(shards, cutoffs: cutoffs, tree: tree, group: group)
    return totals.metrics(meansOver: totals.users)
  }
}

/// The metrics of rankings among candidates, whose cases are spread over any number of ranks.
package enum CandidateRanking {
  /// As ``FullRanking/metrics(_:cutoffs:tree:group:)``, means over cases.
  package static func metrics(
    _ shards: [RankingSums], cutoffs: [Int], tree: ShardTree, group: any ProcessGroup
  ) throws -> RankingMetrics {
    let totals = try RankingTotals(shards, cutoffs: cutoffs, tree: tree, group: group)
    var metrics = totals.metrics(meansOver: totals.relevant)
    metrics.candidates = totals.candidates
    metrics.ties = totals.ties
    return metrics
  }
}

/// Sums over all ranks.
private struct RankingTotals {
  private let cutoffs: [Int]
  private let sums: [Double]
  let users: Int
  let relevant: Int
  let candidates: Int
  let ties: Int

  init(
    _ shards: [RankingSums], cutoffs: [Int], tree: ShardTree, group: any ProcessGroup
  ) throws {
    precondition(shards.count == tree.shards(of: group.rank).count, "sums of each of its shards")
    let cutoffs = Set(cutoffs).sorted()
    precondition(shards.allSatisfy { $0.cutoffs == cutoffs }, "sums of the same cut-offs")
    self.cutoffs = cutoffs
    sums = try group.orderedSum(
      of: shards.flatMap(\.values), width: RankingSums.width(cutoffs: cutoffs.count), over: tree)
    func total(_ count: (RankingSums) -> Int64) -> Int64 { shards.reduce(0) { $0 + count($1) } }
    var counts = [
      total { $0.users }, total { $0.relevant }, total { $0.candidates }, total { $0.ties },
    ]
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    (users, relevant) = (Int(counts[0]), Int(counts[1]))
    (candidates, ties) = (Int(counts[2]), Int(counts[3]))
  }

  func metrics(meansOver count: Int) -> RankingMetrics {
    var metrics = RankingMetrics(figures: [:], mrr: nil, users: users, relevant: relevant)
    guard count > 0 else { return metrics }
    let means = sums.map { $0 / Double(count) }
    metrics.mrr = means[0]
    for (index, cutoff) in cutoffs.enumerated() {
      let figures = means.dropFirst(1 + 5 * index).prefix(5).map { $0 }
      metrics.figures[cutoff] = RankingMetrics.Figures(
        recall: figures[0], ndcg: figures[1], hitRate: figures[2], precision: figures[3],
        averagePrecision: figures[4])
    }
    return metrics
  }
}
