import Evaluation
import Fabric
import Testing

@Suite struct AnnotationMetricsTests {
  private func metrics(_ split: LabeledSplit, ranks: Int) throws -> [AnnotationMetrics] {
    try split.onRanks(ranks) { shards, _, group in
      try AnnotationMetrics.evaluate(shards, group: group)
    }
  }

  /// Right, wrong, wrong, right, and one half from each sign of zero: 3 of 6.
  @Test func aTinyExampleByHand() throws {
    let pairs: [(UInt8, Float)] = [(1, 2), (1, -1), (0, 3), (0, -1e-30), (1, 0), (1, -0.0)]
    // Users in no order, which annotations need not have.
    let rows = pairs.enumerated().map {
      LabeledRow(user: UInt32(9 - $0.offset), label: $0.element.0, score: $0.element.1)
    }
    let metrics = try metrics(LabeledSplit(shards: [rows, []]), ranks: 2)
    for metrics in metrics {
      #expect(metrics.accuracy == 0.5)
      #expect(metrics.majorityShare == 4.0 / 6)
      // Of 8 pairs: 2 beats one negative, −1 none, both zeros one each.
      #expect(metrics.auc == 3.0 / 8)
      #expect(metrics.rows == 6 && metrics.positives == 4)
    }
  }

  @Test(arguments: LabeledSplit.Scores.allCases)
  func everyNumberOfRanksGivesTheSameBits(scores: LabeledSplit.Scores) throws {
    let split = LabeledSplit.random(scores, users: 120, longest: 20, positiveShare: 0.3)
    let rows = split.rows
    let correct = rows.reduce(0.0) { sum, row in
      // By the definition of the soft label's side, in halves, which are exact.
      let guess = row.score > 0 ? 1.0 : row.score < 0 ? 0.0 : 0.5
      return sum + 1 - abs(guess - Double(row.label))
    }
    let positives = rows.count { $0.label == 1 }
    let expected = AnnotationMetrics(
      accuracy: correct / Double(rows.count),
      majorityShare: Double(max(positives, rows.count - positives)) / Double(rows.count),
      auc: Oracle.area(rows), rows: rows.count, positives: positives)
    for ranks in [1, 2, 3, 4, 5, 7] {
      #expect(
        try metrics(split, ranks: ranks)
          == [AnnotationMetrics](repeating: expected, count: ranks))
    }
  }

  @Test func noPairsHaveNoFigures() throws {
    for metrics in try metrics(LabeledSplit(shards: [[], []]), ranks: 2) {
      #expect(
        metrics
          == AnnotationMetrics(
            accuracy: nil, majorityShare: nil, auc: nil, rows: 0, positives: 0))
    }
  }
}
