package import Fabric

/// How well the labels given to unlabeled pairs agree with their true labels.
///
/// As JSON, an undefined figure is `null`.
package struct AnnotationMetrics: Equatable, Sendable {
  /// The share of pairs whose soft label falls on the side of the truth; one of exactly ½, that is
  /// a score of 0, counts half. `nil` without rows.
  package var accuracy: Double?
  /// The share of the more frequent true label: the accuracy of always guessing it.
  package var majorityShare: Double?
  /// The area under the curve against the truth, ties half; `nil` unless both labels occur.
  package var auc: Double?
  /// Pairs with a known truth.
  package var rows: Int
  /// Pairs whose truth is 1.
  package var positives: Int

  package init(
    accuracy: Double?, majorityShare: Double?, auc: Double?, rows: Int, positives: Int
  ) {
    self.accuracy = accuracy
    self.majorityShare = majorityShare
    self.auc = auc
    self.rows = rows
    self.positives = positives
  }

  /// Compares scores with true labels over all ranks, in whole numbers: every rank gets the same
  /// bits, for every number of ranks.
  ///
  /// The soft label w⁺ = ℓ⁻² / (ℓ⁺² + ℓ⁻²) is above ½ where the score is above 0, so the sign of
  /// the score decides and no soft label is rounded.
  ///
  /// - Parameters:
  ///   - shards: The pairs of this rank with true labels; users in any order.
  ///   - group: All ranks.
  /// - Returns: The metrics of the pairs of all ranks.
  /// - Throws: A `Failure` on all ranks alike when a score is NaN (software) or a label neither 0
  ///   nor 1 (data); what the group throws.
  /// - Complexity: O(rows / P + 2¹⁶) time and memory; two collectives of 8 bytes and those of
  ///   ``AreaUnderCurve/evaluate(_:group:largestBucket:)``.
  package static func evaluate(
    _ shards: [ScoredShard], group: any ProcessGroup
  ) throws -> AnnotationMetrics {
    try ScoredShard.check(shards, grouped: false, group: group)
    let area = try AreaUnderCurve.evaluate(shards, group: group)
    var twiceCorrect: [Int64] = [0]
    for shard in shards {
      for row in 0..<shard.count {
        let score = unsafe shard.scores[row]
        let signed = unsafe shard.labels[row] == 1 ? score : -score
        twiceCorrect[0] += signed > 0 ? 2 : signed == 0 ? 1 : 0
      }
    }
    unsafe try twiceCorrect.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    let rows = area.positives + area.negatives
    let majority = max(area.positives, area.negatives)
    return AnnotationMetrics(
      accuracy: rows > 0 ? Double(twiceCorrect[0]) / Double(2 * rows) : nil,
      majorityShare: rows > 0 ? Double(majority) / Double(rows) : nil,
      auc: area.value, rows: rows, positives: area.positives)
  }
}

extension AnnotationMetrics: Codable {
  private enum CodingKeys: String, CodingKey {
    case accuracy, auc, rows, positives
    case majorityShare = "majority_share"
  }

  package func encode(to encoder: any Encoder) throws {
    // The synthesised encoding leaves out what is nil.
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(accuracy, forKey: .accuracy)
    try container.encode(majorityShare, forKey: .majorityShare)
    try container.encode(auc, forKey: .auc)
    try container.encode(rows, forKey: .rows)
    try container.encode(positives, forKey: .positives)
  }
}
