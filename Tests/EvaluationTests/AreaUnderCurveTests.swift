import Evaluation
import Fabric
import Testing

@Suite struct AreaUnderCurveTests {
  typealias Scores = LabeledSplit.Scores

  private static func split(_ pairs: [(label: UInt8, score: Float)]) -> LabeledSplit {
    LabeledSplit(pairs.map { LabeledRow(user: 0, label: $0.label, score: $0.score) }, shardCount: 8)
  }

  /// Positives at .8 and .4, negatives at .4 and .1: the pairs count 1, 1, ½ and 1.
  @Test func aTinyExampleByHand() throws {
    let split = Self.split([(1, 0.8), (0, 0.4), (1, 0.4), (0, 0.1)])
    let area = try #require(try split.areas(ranks: 1).first)
    #expect(area.twiceStatistic == 7)
    #expect(area.positives == 2 && area.negatives == 2)
    #expect(area.value == 0.875)
  }

  @Test func perfectReversedAndTiedOrders() throws {
    let labels: [UInt8] = [1, 1, 0, 0, 0]
    func value(_ score: (Int) -> Float) throws -> Double? {
      try Self.split(labels.enumerated().map { ($0.element, score($0.offset)) })
        .areas(ranks: 1).first?.value
    }
    #expect(try value { Float(-$0) } == 1)
    #expect(try value { Float($0) } == 0)
    #expect(try value { _ in -3 } == 0.5)
    #expect(try value { $0 % 2 == 0 ? 0 : -0.0 } == 0.5)
  }

  @Test func isUndefinedWithoutBothLabels() throws {
    #expect(try Self.split([]).areas(ranks: 1).first?.value == nil)
    for label in [0, 1] as [UInt8] {
      for ranks in [1, 3] {
        let areas = try Self.split([(label, 1), (label, 2)]).areas(ranks: ranks)
        #expect(areas.allSatisfy { $0.value == nil && $0.twiceStatistic == 0 })
        #expect(areas.allSatisfy { $0.positives + $0.negatives == 2 })
      }
    }
  }

  /// The oracle counts pairs in halves, which is exact below 2⁵² pairs, so both divide the same
  /// numbers.
  @Test(arguments: Scores.allCases, [0.03, 0.6])
  func equalsTheCountOfAllPairs(scores: Scores, positiveShare: Double) throws {
    let split = LabeledSplit.random(
      scores, users: 60, longest: 12, positiveShare: positiveShare, seed: 3)
    let expected = Oracle.area(split.rows)
    for ranks in [1, 2, 5, 8] {
      for area in try split.areas(ranks: ranks) { #expect(area.value == expected) }
    }
  }

  /// Buckets of more than 0 rows, that is all, or of some are counted by a histogram and not sent.
  @Test(arguments: [Scores.manyTies, .clustered, .extremes], [0, 40])
  func largeBucketsAreCountedInPlace(scores: Scores, largestBucket: Int) throws {
    let split = LabeledSplit.random(scores, users: 60, longest: 12, seed: 4)
    let expected = Oracle.area(split.rows)
    for ranks in [2, 3] {
      for area in try split.areas(ranks: ranks, largestBucket: largestBucket) {
        #expect(area.value == expected)
      }
    }
  }

  /// 2·(n⁺ n⁻) is beyond 32 bits, and one bucket has more rows than a rank may take.
  @Test func oneScoreOfVeryManyRowsIsCountedInPlace() throws {
    let count = 70_000
    let rows = (0..<UInt32(count)).map { index in
      let (label, score): (UInt8, Float) = (index % 7 == 0 ? 0 : 1, index % 100 == 0 ? 2 : 1)
      return LabeledRow(user: index % 2, label: label, score: score)
    }
    // By hand: every 7th row is a negative, every 100th scores high, every 700th both.
    let (negatives, high, both) = (10_000, 700, 100)
    let positives = count - negatives
    let (highPositives, lowNegatives) = (high - both, negatives - both)
    // Won, and tied at either score.
    var twice = 2 * highPositives * lowNegatives
    twice += highPositives * both
    twice += (positives - highPositives) * lowNegatives
    let split = LabeledSplit(rows, shardCount: 2)
    for ranks in [1, 2] {
      for area in try split.areas(ranks: ranks) {
        #expect(area.twiceStatistic == UInt128(twice))
        #expect(area.positives == positives)
      }
    }
  }

  /// Documented: four collectives, and one for each bucket that is too large.
  @Test func collectivesAreFew() throws {
    let split = LabeledSplit.random(.clustered, users: 200, longest: 10)
    func collectives(_ ranks: Int, _ largestBucket: Int) throws -> [Int] {
      try split.onRanks(ranks) { shards, _, group in
        _ = try AreaUnderCurve.evaluate(shards, group: group, largestBucket: largestBucket)
        return group.traffic.collectives
      }
    }
    #expect(try collectives(4, 1 << 16) == [4, 4, 4, 4])
    #expect(try collectives(4, 0) == [5, 5, 5, 5])
    #expect(try collectives(1, 0) == [0])
  }
}
