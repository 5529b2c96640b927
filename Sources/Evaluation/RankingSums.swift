import Foundation

/// Sums of the figures of ``RankingMetrics`` over users of one shard, in the order they are added.
package struct RankingSums {
  /// Doubles per shard for `cutoffs` cut-offs: the reciprocal rank, and five figures for each.
  static func width(cutoffs: Int) -> Int { 1 + figures * cutoffs }
  private static let figures = 5

  /// Ascending.
  package let cutoffs: [Int]
  package private(set) var users: Int64 = 0
  package private(set) var relevant: Int64 = 0
  /// Items that relevant ones were ranked among, and those of them with the same score; nothing for
  /// rankings of all items.
  package private(set) var candidates: Int64 = 0
  package private(set) var ties: Int64 = 0
  /// `Σ 1/rank`, then for each cut-off recall, NDCG, hit rate, precision, average precision.
  private(set) var values: [Double]
  /// d(r) at `r`.
  private let discounts: [Double]
  /// Σ of d over the ranks up to `r`, at `r`.
  private let ideals: [Double]

  /// No users yet.
  ///
  /// - Parameter cutoffs: Each at least 1; repeated ones count once.
  package init(cutoffs: [Int]) {
    precondition(
      !cutoffs.isEmpty && cutoffs.allSatisfy { $0 >= 1 }, "a cut-off is at least 1")
    let sorted = Set(cutoffs).sorted()
    self.cutoffs = sorted
    values = [Double](repeating: 0, count: Self.width(cutoffs: sorted.count))
    discounts = (0...(sorted.last ?? 1)).map { $0 == 0 ? 0 : 1 / log2(Double($0 + 1)) }
    var sum = 0.0
    ideals = discounts.map {
      sum += $0
      return sum
    }
  }

  /// Adds a user.
  ///
  /// - Parameters:
  ///   - ranked: The best items, the best first: as many as the last cut-off, or all there are.
  ///   - relevant: Ascending, those that are ranked; at least one, unless some are missed.
  ///   - missed: Relevant items that are not ranked.
  ///   - firstRank: The rank, from 1, of the first relevant item among all items.
  /// - Complexity: O(ranked · log relevant); no allocation.
  package mutating func add(
    ranked: UnsafeBufferPointer<UInt32>, relevant: UnsafeBufferPointer<UInt32>, missed: Int = 0,
    firstRank: Int
  ) {
    precondition(
      relevant.isEmpty ? missed > 0 : firstRank >= 1,
      "a user has relevant items, and those that are ranked have ranks")
    let relevantCount = relevant.count + missed
    var (hits, gain, precisions) = (0, 0.0, 0.0)
    var (rank, slot) = (0, 1)
    for cutoff in cutoffs {
      while rank < min(cutoff, ranked.count) {
        rank += 1
        guard unsafe ascending(relevant, contain: ranked[rank - 1]) else { continue }
        hits += 1
        gain += discounts[rank]
        precisions += Double(hits) / Double(rank)
      }
      let most = min(cutoff, relevantCount)
      values[slot] += Double(hits) / Double(relevantCount)
      values[slot + 1] += gain / ideals[most]
      values[slot + 2] += hits > 0 ? 1 : 0
      values[slot + 3] += Double(hits) / Double(cutoff)
      values[slot + 4] += precisions / Double(most)
      slot += Self.figures
    }
    values[0] += relevant.isEmpty ? 0 : 1 / Double(firstRank)
    users += 1
    self.relevant += Int64(relevantCount)
  }

  /// Adds a case: one relevant item, ranked among candidates that are not relevant.
  ///
  /// - Parameters:
  ///   - rank: From 1: one more than the candidates with a strictly higher score.
  ///   - candidates: How many there are.
  ///   - ties: Those of them with the score of the relevant item.
  /// - Complexity: O(cut-offs); no allocation.
  package mutating func add(rank: Int, candidates: Int, ties: Int) {
    precondition(
      rank >= 1 && rank + ties <= candidates + 1, "a rank is one of the candidates and the item")
    var slot = 1
    for cutoff in cutoffs {
      if rank <= cutoff {
        values[slot] += 1
        values[slot + 1] += discounts[rank]
        values[slot + 2] += 1
        values[slot + 3] += 1 / Double(cutoff)
        values[slot + 4] += 1 / Double(rank)
      }
      slot += Self.figures
    }
    values[0] += 1 / Double(rank)
    relevant += 1
    self.candidates += Int64(candidates)
    self.ties += Int64(ties)
  }

  /// Adds users whose cases are added one by one.
  package mutating func add(users: Int) { self.users += Int64(users) }
}
