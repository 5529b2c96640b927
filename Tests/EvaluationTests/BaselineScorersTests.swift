import Evaluation
import Fabric
import Testing

@Suite struct BaselineScorersTests {
  private static let training = RatedSplit(
    shards: [
      [(0, 0, 1), (0, 1, 1), (2, 0, 0)].map(RatedSplit.Row.init),
      [(1, 0, 1), (1, 2, 0)].map(RatedSplit.Row.init),
    ])

  private func scores(
    ranks: Int, _ scorer: BaselineScorers.Scorer, _ pairs: [(UInt32, UInt32)]
  ) throws -> [[Float]] {
    try Self.training.onRanks(ranks) { rows, group in
      let scorers = try BaselineScorers(
        training: rows, userCount: 4, itemCount: 4, shrinkage: 5, seed: 3, group: group)
      return pairs.map { scorers.score(scorer, user: $0.0, item: $0.1) }
    }
  }

  /// μ = 3/5; item 0 has 2 of 3, item 1 1 of 1, item 2 0 of 1, item 3 no rows.
  @Test(arguments: [1, 2])
  func theFiguresOfAnItemByHand(ranks: Int) throws {
    let pairs = (0..<4).map { (0 as UInt32, $0 as UInt32) }
    let biases = [(2 - 0.6 * 3) / 8, (1 - 0.6) / 6, -0.6 / 6, 0]
    for scores in try scores(ranks: ranks, .itemMean, pairs) {
      for (score, bias) in zip(scores, biases) {
        // A Double with a few roundings, rounded to a Float below 1.
        #expect(abs(Double(score) - (0.6 + bias)) <= 0x1p-24)
      }
    }
    #expect(try scores(ranks: ranks, .popularity, pairs).allSatisfy { $0 == [3, 1, 1, 0] })
  }

  /// User 0 has two positives; what the item biases leave of them is shrunk by 5. User 3 has no
  /// rows.
  @Test func theBiasOfAUserIsFittedToWhatItemsLeave() throws {
    let (first, second) = ((2 - 0.6 * 3) / 8, (1 - 0.6) / 6)
    let user = ((1 - 0.6 - first) + (1 - 0.6 - second)) / 7
    let scores = try scores(ranks: 1, .biases, [(0, 3), (0, 0), (3, 3), (3, 1)])[0]
    let expected = [0.6 + user, 0.6 + user + first, 0.6, 0.6 + second]
    for (score, expected) in zip(scores, expected) {
      #expect(abs(Double(score) - expected) <= 0x1p-24)
    }
  }

  @Test func randomScoresDependOnThePairAlone() throws {
    let pairs = (0..<4).flatMap { user in (0..<4).map { (user as UInt32, $0 as UInt32) } }
    let one = try scores(ranks: 1, .random, pairs)
    #expect(try scores(ranks: 2, .random, pairs) == [one[0], one[0]])
    #expect(Set(one[0]).count == 16)
    #expect(one[0].allSatisfy { (0..<1).contains($0) })
  }

  @Test func withoutTrainingRowsAllScoresAreZero() throws {
    let scorers = try BaselineScorers(
      training: [], userCount: 1, itemCount: 1, group: SoloGroup())
    for scorer in [BaselineScorers.Scorer.itemMean, .biases, .popularity] {
      #expect(scorers.score(scorer, user: 0, item: 0) == 0)
    }
    #expect(scorers.mean == 0)
  }
}
