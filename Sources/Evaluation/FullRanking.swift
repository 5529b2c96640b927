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
  ///   rank, and 16 bytes.
  package static func metrics(
    _ shards: [RankingSums], cutoffs: [Int], tree: ShardTree, group: any ProcessGroup
  ) throws -> RankingMetrics {
    precondition(shards.count == tree.shards(of: group.rank).count, "sums of each of its shards")
    let cutoffs = Set(cutoffs).sorted()
    precondition(shards.allSatisfy { $0.cutoffs == cutoffs }, "sums of the same cut-offs")
    let sums = try group.orderedSum(
      of: shards.flatMap(\.values), width: RankingSums.width(cutoffs: cutoffs.count), over: tree)
    var counts = [shards.reduce(0) { $0 + $1.users }, shards.reduce(0) { $0 + $1.relevant }]
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    let users = Int(counts[0])
    var metrics = RankingMetrics(figures: [:], mrr: nil, users: users, relevant: Int(counts[1]))
    guard users > 0 else { return metrics }
    let means = sums.map { $0 / Double(users) }
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
