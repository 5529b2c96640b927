package import Fabric
import Foundation

/// The metrics of scored, labeled rows that are spread over any number of ranks.
package enum LabeledEvaluation {
  /// Every rank gets the same metrics, bit for bit, and the same for every number of ranks.
  ///
  /// Counts and the area under the curve are whole numbers; means over users and rows are summed in
  /// the order of the rows inside a shard and then along the tree. All but the log loss, which
  /// rounds in the order of the rows, do not depend on the order of a user's rows either.
  ///
  /// - Parameters:
  ///   - shards: All shards of this rank, ascending; one without rows has empty columns.
  ///   - cutoffs: The k of NDCG@k, each at least 1; repeated ones count once.
  ///   - tree: The shards and their owners.
  ///   - group: All ranks.
  /// - Returns: The metrics of the rows of all ranks; see ``LabeledMetrics`` for what is undefined.
  /// - Throws: A `Failure` on all ranks alike when a score is NaN (software), or when a label is
  ///   neither 0 nor 1 or users do not ascend (data), naming shard and row; what the group throws.
  /// - Complexity: O(rows / P + 2¹⁶) time and memory; three collectives of some numbers each and
  ///   those of ``AreaUnderCurve/evaluate(_:group:largestBucket:)``.
  package static func evaluate(
    _ shards: [ScoredShard], cutoffs: [Int] = [10], tree: ShardTree, group: any ProcessGroup
  ) throws -> LabeledMetrics {
    precondition(
      shards.map(\.shard) == Array(tree.shards(of: group.rank)), "all shards of this rank, in order"
    )
    precondition(cutoffs.allSatisfy { $0 >= 1 }, "a cut-off is at least 1")
    try ScoredShard.check(shards, grouped: true, group: group)
    let area = try AreaUnderCurve.evaluate(shards, group: group)
    let cutoffs = Set(cutoffs).sorted()
    var leaves: [Double] = []
    var users: [Int64] = [0]
    for shard in shards {
      let sums = UserSums(UserRanking(shard), cutoffs: cutoffs)
      leaves += [sums.area, sums.reciprocalRank, loss(of: shard)] + sums.gains
      users[0] += sums.users
    }
    let sums = try group.orderedSum(of: leaves, width: 3 + cutoffs.count, over: tree)
    unsafe try users.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    return metrics(area, users: Int(users[0]), sums, cutoffs)
  }

  private static func metrics(
    _ area: AreaUnderCurve, users: Int, _ sums: [Double], _ cutoffs: [Int]
  ) -> LabeledMetrics {
    let rows = area.positives + area.negatives
    func mean(_ sum: Double, over count: Int) -> Double? { count > 0 ? sum / Double(count) : nil }
    var ndcg: [Int: Double] = [:]
    for (cutoff, sum) in zip(cutoffs, sums.dropFirst(3)) {
      ndcg[cutoff] = mean(sum, over: users)
    }
    return LabeledMetrics(
      auc: area.value, gauc: mean(sums[0], over: users), logLoss: mean(sums[2], over: rows),
      ndcg: ndcg, mrr: mean(sums[1], over: users), users: users, rows: rows,
      positives: area.positives)
  }

  /// The sum over rows, in order, of the log loss.
  private static func loss(of shard: ScoredShard) -> Double {
    var sum = 0.0
    for row in 0..<shard.count {
      let score = unsafe Double(shard.scores[row])
      unsafe sum += softplus(shard.labels[row] == 1 ? -score : score)
    }
    return sum
  }

  /// log(1 + eˣ) without overflow.
  @inline(__always)
  private static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
}
