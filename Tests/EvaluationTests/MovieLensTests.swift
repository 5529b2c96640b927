import Evaluation
import Fabric
import Foundation
import Testing

private let data = ProcessInfo.processInfo.environment["INVERSE_DATA"]

/// The scorers of counts on the random 60/20/20 split of MovieLens 1M, label = rating ≥ 3, against
/// figures computed independently.
@Suite(.enabled(if: data != nil, "INVERSE_DATA does not name the folder of real data"))
struct MovieLensTests {
  private static let shardCount = 16

  private static func read(_ name: String) throws -> RatedSplit {
    let folder = try #require(data)
    return try RatedSplit(ratings: "\(folder)/ml-1m/\(name).tsv", shardCount: shardCount)
  }

  /// Fitted on one rank, which therefore has the biases of all users.
  private static let fitted = Result {
    try read("train").onRanks(1) { rows, group in
      try BaselineScorers(
        training: rows, userCount: 6041, itemCount: 3953, seed: 1, group: group)
    }[0]
  }
  private static let test = Result { try read("test") }

  private func metrics(_ scorer: BaselineScorers.Scorer) throws -> LabeledMetrics {
    let scorers = try Self.fitted.get()
    let split = try Self.test.get().scored { scorers.score(scorer, user: $0, item: $1) }
    let metrics = try #require(try split.metrics(ranks: 1, cutoffs: [10]).first)
    let others = try split.metrics(ranks: 3, cutoffs: [10])
    #expect(others == [metrics, metrics, metrics])
    return metrics
  }

  /// Within half of the last digit of the published figures.
  @Test(arguments: [
    (BaselineScorers.Scorer.itemMean, 0.7636, 0.7568), (.biases, 0.8206, 0.7568),
    (.popularity, 0.6472, 0.6371),
  ])
  func countsGiveThePublishedAreas(
    scorer: BaselineScorers.Scorer, auc: Double, gauc: Double
  ) throws {
    let metrics = try metrics(scorer)
    #expect(abs(try #require(metrics.auc) - auc) <= 5e-5)
    #expect(abs(try #require(metrics.gauc) - gauc) <= 5e-5)
    #expect(metrics.users == 4544 && metrics.rows == 200_042)
    #expect(metrics.positives == 167_344)
  }

  /// The standard error of an area between n⁺ and n⁻ random scores is √((n + 1) / (12 n⁺ n⁻)),
  /// here .0017; that of the mean of 4,544 users' areas is .0032, and that of NDCG@10 .0015 (the
  /// variance of a sum over ranks drawn without replacement). Four standard errors each.
  @Test func randomScoresGiveTheirExpectations() throws {
    let metrics = try metrics(.random)
    #expect(abs(try #require(metrics.auc) - 0.5) < 0.007)
    #expect(abs(try #require(metrics.gauc) - 0.5) < 0.013)
    #expect(abs(try #require(metrics.ndcg[10]) - 0.8483) < 0.006)
  }

  /// Scores that are all equal are random orders taken to their mean: Σ d(r) n⁺/n over the first
  /// ten ranks, over the ideal one. .84847 is that mean, computed independently from the label
  /// counts of the users; .8483 was one draw.
  @Test func equalScoresGiveTheExpectationOfRandomOnes() throws {
    let split = try Self.test.get().scored { _, _ in 0 }
    let metrics = try #require(try split.metrics(ranks: 2, cutoffs: [10]).first)
    #expect(metrics.auc == 0.5 && metrics.gauc == 0.5)
    #expect(abs(try #require(metrics.ndcg[10]) - 0.848_467_796_8) < 1e-10)
  }
}
