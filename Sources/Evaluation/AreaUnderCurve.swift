package import Fabric

/// The area under the receiver operating characteristic, exact and with ties counted half.
///
///     AUC = Σ over positives of (negatives scored lower + ½ negatives tied) / (n⁺ n⁻)
///
/// The sum is the statistic of Mann and Whitney (1947). Twice of it is a whole number and kept as
/// one, so that nothing is rounded before the one division, and every way of dividing the rows
/// among ranks gives the same bits.
package struct AreaUnderCurve: Equatable, Sendable {
  /// Σ over positives of 2 · (negatives scored lower) + (negatives tied).
  package let twiceStatistic: UInt128
  /// Rows of label 1, `n⁺`.
  package let positives: Int
  /// Rows of label 0, `n⁻`.
  package let negatives: Int

  /// The area in `0 ... 1`, or `nil` unless there are rows of both labels.
  package var value: Double? {
    guard positives > 0, negatives > 0 else { return nil }
    let pairs = UInt128(positives) * UInt128(negatives)
    return Double(twiceStatistic) / Double(2 * pairs)
  }

  /// The area over the rows of all ranks; every rank gets the same.
  ///
  /// On one rank the keys of the scores (``ScoreOrder``) are sorted by digits. On several, keys go
  /// to the rank that owns their range, the ranges being chosen from a histogram so that all ranks
  /// get about the same number, and each owner sorts its range. A single value of the upper 16 bits
  /// that is more than one rank's share is counted by a second histogram and never sent.
  ///
  /// - Parameters:
  ///   - shards: The shards of this rank; scores without NaN, labels 0 and 1. Their users are not
  ///     looked at.
  ///   - group: All ranks.
  ///   - largestBucket: Rows with equal upper bits that a rank takes even when they are more than
  ///     its share.
  /// - Returns: The exact statistic of all rows.
  /// - Throws: What the group throws.
  /// - Complexity: O(rows / P + 2¹⁶) time and memory. For P > 1 four collectives, and one more for
  ///   each bucket that is too large, of which there are fewer than P; a rank sends 1 MiB for
  ///   each histogram and 4 bytes for each row.
  package static func evaluate(
    _ shards: [ScoredShard], group: any ProcessGroup, largestBucket: Int = 1 << 16
  ) throws -> AreaUnderCurve {
    let keys = ClassKeys(shards)
    guard group.size == 1 else {
      return try evaluate(keys, group: group, largestBucket: largestBucket)
    }
    let (positives, negatives) = (keys.positives, keys.keys.count - keys.positives)
    return AreaUnderCurve(
      twiceStatistic: keys.sortedStatistic(), positives: positives, negatives: negatives)
  }
}

/// Keys of scores, those of the positives first.
struct ClassKeys {
  var keys: [UInt32]
  /// How many of `keys`, from the first on, belong to rows of label 1.
  let positives: Int

  init(keys: [UInt32], positives: Int) {
    self.keys = keys
    self.positives = positives
  }

  init(_ shards: [ScoredShard]) {
    let rows = shards.reduce(0) { $0 + $1.count }
    var positives = 0
    for shard in shards {
      for row in 0..<shard.count { unsafe positives += Int(shard.labels[row]) }
    }
    self.positives = positives
    keys = unsafe [UInt32](unsafeUninitializedCapacity: rows) { keys, count in
      var (positive, negative) = (0, positives)
      for shard in shards {
        for row in 0..<shard.count {
          // No branch on the label, which nothing could predict.
          let label = unsafe Int(shard.labels[row])
          let place = label == 1 ? positive : negative
          unsafe keys.initializeElement(at: place, to: ScoreOrder.key(of: shard.scores[row]))
          positive += label
          negative += 1 - label
        }
      }
      count = rows
    }
  }

  /// Twice the statistic of Mann and Whitney of these keys alone.
  ///
  /// - Complexity: O(keys); 4 bytes of scratch for each key.
  consuming func sortedStatistic() -> UInt128 {
    let (count, positives) = (keys.count, positives)
    var twice: UInt128 = 0
    unsafe keys.withUnsafeMutableBufferPointer { keys in
      let first = unsafe UnsafeMutableBufferPointer(rebasing: keys[..<positives])
      let second = unsafe UnsafeMutableBufferPointer(rebasing: keys[positives...])
      unsafe withUnsafeTemporaryAllocation(
        of: UInt32.self, capacity: max(positives, count - positives)
      ) {
        unsafe ScoreOrder.sort(first, scratch: $0)
        unsafe ScoreOrder.sort(second, scratch: $0)
      }
      // lower and notHigher negatives make 2 · lower + tied.
      var (lower, notHigher) = (0, 0)
      for index in 0..<first.count {
        let key = unsafe first[index]
        while lower < second.count, unsafe second[lower] < key { lower += 1 }
        while notHigher < second.count, unsafe second[notHigher] <= key { notHigher += 1 }
        twice += UInt128(truncatingIfNeeded: lower + notHigher)
      }
    }
    return twice
  }
}
