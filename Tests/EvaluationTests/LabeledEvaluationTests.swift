import Evaluation
import Fabric
import Foundation
import Storage
import Testing

@Suite struct LabeledEvaluationTests {
  typealias Scores = LabeledSplit.Scores

  private func isClose(_ value: Double?, _ expected: Double?, within bound: Double) -> Bool {
    guard let value, let expected else { return value == nil && expected == nil }
    return abs(value - expected) <= bound
  }

  /// One user, ranks from the top: positive, two tied rows of which one is positive, negative.
  /// With d(1) = 1, d(2) = 1/log₂3, d(3) = ½.
  @Test func aTinyExampleByHand() throws {
    let labelsAndScores: [(UInt8, Float)] = [(0, 1), (1, 2), (0, 0), (1, 3)]
    let rows = labelsAndScores.map { LabeledRow(user: 9, label: $0.0, score: $0.1) }
    var tied = rows
    tied[0].score = 2
    let metrics = try #require(
      try LabeledSplit(tied, shardCount: 1).metrics(ranks: 1, cutoffs: [1, 2, 3, 50]).first)
    // Pairs: 3 beats both; 2 ties with one and beats the other.
    #expect(metrics.auc == 0.875)
    #expect(metrics.gauc == 0.875)
    #expect(metrics.mrr == 1)
    #expect(metrics.users == 1 && metrics.rows == 4 && metrics.positives == 2)
    let second = 1 / log2(3.0)
    let ideal = 1 + second
    // Sums of three numbers below 2 and a division: a few roundings of 2⁻⁵³.
    #expect(isClose(metrics.ndcg[1], 1, within: 0))
    #expect(isClose(metrics.ndcg[2], (1 + second / 2) / ideal, within: 0x1p-50))
    #expect(isClose(metrics.ndcg[3], (1 + (second + 0.5) / 2) / ideal, within: 0x1p-50))
    #expect(metrics.ndcg[50] == metrics.ndcg[3])
    // softplus(−3) + softplus(−2) + softplus(2) + softplus(0), recomputed with 20 digits.
    let loss =
      (0.048587351573742_058 + 0.126928011042972_496 + 2.126928011042972_496
        + 0.693147180559945_309) / 4
    #expect(isClose(metrics.logLoss, loss, within: 0x1p-50))
  }

  /// The first of m positives among n tied rows: n = 3, m = 1 is (1 + ½ + ⅓)/3, and m = 2 stands
  /// first with probability 2/3, else second.
  @Test(arguments: [(1, 11.0 / 18), (2, 2.0 / 3 + 1.0 / 6)])
  func reciprocalRankOfTies(positives: Int, expected: Double) throws {
    let rows = (0..<3).map { LabeledRow(user: 0, label: $0 < positives ? 1 : 0, score: 4) }
    let metrics = try LabeledSplit(rows, shardCount: 1).metrics(ranks: 1)
    // Three terms below 1: a few roundings of 2⁻⁵³.
    #expect(isClose(metrics.first?.mrr, expected, within: 0x1p-51))
  }

  /// A perfect order is exactly 1 at every cut-off, also with ties among the positives.
  @Test func aPerfectOrderIsExactlyOne() throws {
    var rows: [LabeledRow] = []
    for user in 0..<40 as Range<UInt32> {
      for index in 0..<UInt32(17) {
        let label: UInt8 = index < user % 16 + 1 ? 1 : 0
        let score = label == 1 ? 10 + Float(index / (user % 3 + 1)) : -Float(index)
        rows.append(LabeledRow(user: user, label: label, score: score))
      }
    }
    let metrics = try LabeledSplit(rows, shardCount: 4).metrics(ranks: 3, cutoffs: [1, 5, 100])
    for metrics in metrics {
      #expect(metrics.auc == 1 && metrics.gauc == 1 && metrics.mrr == 1)
      #expect(metrics.ndcg == [1: 1, 5: 1, 100: 1])
    }
  }

  @Test(arguments: Scores.allCases, [0.15, 0.5, 0.85])
  func equalsTheDefinitions(scores: Scores, positiveShare: Double) throws {
    // At most 6 rows per user, so that the oracle goes through at most 720 orders.
    let split = LabeledSplit.random(
      scores, users: 50, longest: 6, positiveShare: positiveShare, seed: 5)
    let metrics = try #require(try split.metrics(ranks: 1).first)
    let rows = split.rows
    // Means of up to 50 users of means over up to 720 orders of values up to 1, each term with a
    // few roundings: less than (50 + 720 + 30) · 2⁻⁵³ on both sides.
    let bound = 800 * 0x1p-52
    #expect(metrics.auc == Oracle.area(rows))
    #expect(isClose(metrics.gauc, Oracle.groupedArea(rows), within: bound))
    #expect(isClose(metrics.mrr, Oracle.reciprocalRank(rows), within: bound))
    for cutoff in [1, 3, 10] {
      let expected = Oracle.normalisedGain(rows, cutoff: cutoff)
      #expect(isClose(metrics.ndcg[cutoff], expected, within: bound))
    }
    #expect(metrics.users == Oracle.judged(rows).count)
    #expect(metrics.rows == rows.count)
    #expect(metrics.positives == rows.count { $0.label == 1 })
  }

  /// Up to 300 terms below 9; 1 − σ(8) loses 12 of 53 bits in the oracle, so 2⁻⁵³ · 2¹² of 1/σ(−8)
  /// is its largest error, and the sums add less.
  @Test func logLossEqualsTheLogisticFunction() throws {
    let split = LabeledSplit.random(.spread, users: 50, longest: 6)
    let loss = try #require(try split.metrics(ranks: 1).first?.logLoss)
    #expect(isClose(loss, Oracle.logLoss(split.rows), within: 0x1p-40))
  }

  /// For large |y| the loss is |y| on the wrong side and below every positive number on the other.
  @Test(arguments: [100, 1e4, 1e30, Float.infinity])
  func logLossIsStable(score: Float) throws {
    func loss(_ label: UInt8, _ score: Float) throws -> Double? {
      let row = LabeledRow(user: 0, label: label, score: score)
      return try LabeledSplit([row], shardCount: 1).metrics(ranks: 1).first?.logLoss
    }
    #expect(try loss(0, score) == Double(score))
    #expect(try loss(1, -score) == Double(score))
    let right = try #require(try loss(1, score))
    // e^−100 is 3.7e−44.
    #expect(right >= 0 && right < 1e-43)
    #expect(try loss(0, -score) == right)
  }

  @Test(arguments: Scores.allCases)
  func everyNumberOfRanksGivesTheSameBits(scores: Scores) throws {
    let split = LabeledSplit.random(scores, users: 300, longest: 40, seed: 9)
    let expected = try #require(try split.metrics(ranks: 1).first)
    #expect(expected.users > 200)
    for ranks in [2, 3, 4, 5, 7, 8] {
      let metrics = try split.metrics(ranks: ranks)
      #expect(metrics == [LabeledMetrics](repeating: expected, count: ranks))
    }
  }

  /// Ranks without rows take part: all rows in one shard, in a middle one, in none.
  @Test(arguments: [0, 3, 7])
  func rowsOfOneShardOnly(shard: Int) throws {
    let full = LabeledSplit.random(.manyTies, users: 30, longest: 9, shardCount: 1)
    var shards = [[LabeledRow]](repeating: [], count: 8)
    shards[shard] = full.rows
    let expected = try #require(try full.metrics(ranks: 1).first)
    for ranks in [1, 2, 3, 4, 5, 7, 8] {
      let metrics = try LabeledSplit(shards: shards).metrics(ranks: ranks)
      #expect(metrics == [LabeledMetrics](repeating: expected, count: ranks))
    }
  }

  @Test(arguments: [1, 2, 5])
  func aSplitWithoutRowsHasNoFigures(ranks: Int) throws {
    let split = LabeledSplit(shards: [[LabeledRow]](repeating: [], count: 8))
    for metrics in try split.metrics(ranks: ranks) {
      #expect(
        metrics
          == LabeledMetrics(
            auc: nil, gauc: nil, logLoss: nil, ndcg: [:], mrr: nil, users: 0, rows: 0, positives: 0)
      )
    }
  }

  @Test(arguments: [0, 1] as [UInt8])
  func oneLabelOnlyHasALossAndNoOrder(label: UInt8) throws {
    let rows = (0..<20).map { LabeledRow(user: $0 / 3, label: label, score: 0) }
    for metrics in try LabeledSplit(rows, shardCount: 8).metrics(ranks: 3) {
      #expect(metrics.auc == nil && metrics.gauc == nil && metrics.mrr == nil)
      #expect(metrics.ndcg.isEmpty && metrics.users == 0)
      // 20 additions of log 2 and a division.
      #expect(isClose(metrics.logLoss, log(2.0), within: 20 * 0x1p-53))
    }
  }

  @Test func theOrderOfAUsersRowsPlaysNoPart() throws {
    let split = LabeledSplit.random(.manyTies, users: 80, longest: 12)
    var expected = try #require(try split.metrics(ranks: 1).first)
    var words = Words(17)
    for _ in 0..<5 {
      let shuffled = LabeledSplit(split.rows.shuffled(using: &words), shardCount: 8)
      #expect(shuffled.rows != split.rows)
      let metrics = try #require(try shuffled.metrics(ranks: 3).first)
      // The loss alone rounds in the order of rows: at most 960 additions of numbers below 2.
      #expect(isClose(metrics.logLoss, expected.logLoss, within: 960 * 0x1p-52))
      expected.logLoss = metrics.logLoss
      #expect(metrics == expected)
    }
  }

  /// Documented: three collectives besides those of the area.
  @Test func collectivesAreFew() throws {
    let split = LabeledSplit.random(.spread, users: 60, longest: 5)
    let counts = try split.onRanks(4) { shards, tree, group in
      _ = try LabeledEvaluation.evaluate(shards, tree: tree, group: group)
      return group.traffic.collectives
    }
    #expect(counts == [7, 7, 7, 7])
  }
}

@Suite struct RefusedRowTests {
  /// What each rank throws for a split in which one row was altered.
  private func failures(
    ranks: Int, row: Int, _ alter: (inout LabeledRow) -> Void
  ) throws -> [Failure?] {
    var shards = (0..<4).map { shard in
      (0..<6).map { LabeledRow(user: UInt32(shard * 10 + $0), label: UInt8($0 % 2), score: 1) }
    }
    // A later one must not be named instead.
    shards[3][5].score = .nan
    alter(&shards[2][row])
    return try LabeledSplit(shards: shards).onRanks(ranks) { shards, tree, group in
      do {
        _ = try LabeledEvaluation.evaluate(shards, tree: tree, group: group)
        return nil
      } catch let failure as Failure {
        return failure
      }
    }
  }

  /// Every rank learns of it, so that none waits for one that is gone.
  @Test(arguments: [1, 2, 3, 4])
  func aScoreThatIsNotANumberIsNamedOnAllRanks(ranks: Int) throws {
    let failures = try failures(ranks: ranks, row: 4) { $0.score = .nan }
    #expect(failures.count == ranks)
    for failure in failures {
      #expect(failure?.kind == .software)
      #expect(failure?.message.contains("the score of row 4 of shard 2 is not a number") == true)
    }
  }

  @Test func aLabelOutOfRangeIsNamed() throws {
    for failure in try failures(ranks: 3, row: 0, { $0.label = 2 }) {
      #expect(failure?.kind == .data)
      #expect(failure?.message.contains("the label of row 0 of shard 2") == true)
    }
  }

  @Test func aUserOutOfOrderIsNamed() throws {
    for failure in try failures(ranks: 2, row: 3, { $0.user = 1 }) {
      #expect(failure?.kind == .data)
      #expect(failure?.message.contains("row 3 of shard 2 is not in order") == true)
    }
  }

  @Test func annotationsRefuseWhatIsNotANumberToo() throws {
    let shards = [[LabeledRow(user: 0, label: 1, score: .nan)], []]
    let failures = try LabeledSplit(shards: shards).onRanks(2) { shards, _, group in
      #expect(throws: Failure.self) { try AnnotationMetrics.evaluate(shards, group: group) }
    }
    #expect(failures.map { $0?.kind } == [.software, .software])
  }
}
