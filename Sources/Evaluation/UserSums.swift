import Foundation

/// Sums over the users of one shard that have rows of both labels.
///
/// With `d(r) = 1 / log₂(r + 1)` and a user's rows at ranks 1, 2, … from the highest score down:
///
///     DCG@k = Σ_{r ≤ k} label(r) d(r)      NDCG@k = DCG@k / Σ_{r ≤ min(k, n⁺)} d(r)
///     RR = 1 / rank of the first positive
///
/// Rows of equal score count with the mean over all their orders: McSherry and Najork,
/// *Computing information retrieval performance measures efficiently in the presence of tied
/// scores*, ECIR 2008. So the order of the input plays no part.
struct UserSums {
  private(set) var users: Int64 = 0
  /// Σ of the users' areas under the curve.
  private(set) var area = 0.0
  /// Σ of the users' reciprocal ranks.
  private(set) var reciprocalRank = 0.0
  /// Σ of the users' NDCG, one for each cut-off.
  private(set) var gains: [Double]

  private let cutoffs: [Int]
  /// d(r) at `r`, for ranks up to the last cut-off or the longest list.
  private let discounts: [Double]
  /// Σ of d over the ranks up to `r`, at `r`.
  private let ideals: [Double]

  /// Sums over `ranking` for ascending `cutoffs`.
  init(_ ranking: UserRanking, cutoffs: [Int]) {
    self.cutoffs = cutoffs
    gains = [Double](repeating: 0, count: cutoffs.count)
    let longest = zip(ranking.offsets, ranking.offsets.dropFirst()).reduce(0) {
      max($0, $1.1 - $1.0)
    }
    discounts = (0...min(cutoffs.last ?? 0, longest)).map { $0 == 0 ? 0 : 1 / log2(Double($0 + 1)) }
    var sum = 0.0
    ideals = discounts.map {
      sum += $0
      return sum
    }
    unsafe ranking.rows.withUnsafeBufferPointer { rows in
      for user in 0..<ranking.offsets.count - 1 {
        let range = ranking.offsets[user]..<ranking.offsets[user + 1]
        unsafe add(UnsafeBufferPointer(rebasing: rows[range]))
      }
    }
  }

  /// Takes in one user's rows, in ascending order of score.
  private mutating func add(_ rows: UnsafeBufferPointer<UInt64>) {
    var positives = 0
    for row in rows.indices { unsafe positives += Int(truncatingIfNeeded: rows[row] & 1) }
    guard positives > 0, positives < rows.count else { return }
    var (twice, lower, gain, next) = (0, rows.count - positives, 0.0, 0)
    var (end, isFirst) = (rows.count, true)
    while end > 0 {
      var (start, tiedPositives) = (end, 0)
      repeat {
        start -= 1
        unsafe tiedPositives += Int(truncatingIfNeeded: rows[start] & 1)
      } while unsafe start > 0 && rows[start - 1] >> 1 == rows[end - 1] >> 1
      let tied = end - start
      lower -= tied - tiedPositives
      twice += tiedPositives * (2 * lower + tied - tiedPositives)
      let above = rows.count - end
      if isFirst, tiedPositives > 0 {
        reciprocalRank += Self.reciprocalRank(above: above, tied: tied, positives: tiedPositives)
        isFirst = false
      }
      addGains(above: above, tied, tiedPositives, positives, &gain, &next)
      end = start
    }
    while next < cutoffs.count {
      gains[next] += gain / ideals[min(positives, cutoffs[next])]
      next += 1
    }
    area += Double(twice) / (2 * Double(positives) * Double(rows.count - positives))
    users += 1
  }

  /// Adds a group of tied rows to a user's gain, and the gain to each cut-off that is passed.
  private mutating func addGains(
    above: Int, _ tied: Int, _ tiedPositives: Int, _ positives: Int, _ gain: inout Double,
    _ next: inout Int
  ) {
    let share = Double(tiedPositives) / Double(tied)
    var rank = above + 1
    while next < cutoffs.count, rank <= above + tied {
      gain += share * discounts[rank]
      if rank == cutoffs[next] {
        gains[next] += gain / ideals[min(positives, rank)]
        next += 1
      }
      rank += 1
    }
  }

  /// The mean of 1 / rank of the first positive among tied rows, over all their orders.
  ///
  /// The first of `m` positives among `n` rows stands at place `j` with probability
  /// C(n − j, m − 1) / C(n, m), which starts at m / n and is multiplied by
  /// (n − j − m + 1) / (n − j) from one place to the next.
  private static func reciprocalRank(above: Int, tied: Int, positives: Int) -> Double {
    var probability = Double(positives) / Double(tied)
    var mean = 0.0
    for place in 1...tied - positives + 1 {
      mean += probability / Double(above + place)
      guard place < tied else { break }
      probability *= Double(tied - place - positives + 1) / Double(tied - place)
    }
    return mean
  }
}
