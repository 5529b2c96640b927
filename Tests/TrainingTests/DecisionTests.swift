import Testing
import Training

@Suite struct DecisionTests {
  /// Direct, none, inverse: direct must beat both, else inverse must beat none, else none.
  @Test(arguments: [
    (1.0, 2.0, 3.0, Decision.direct), (1.0, 3.0, 2.0, .direct), (2.0, 1.0, 3.0, .none),
    (3.0, 1.0, 2.0, .none), (2.0, 3.0, 1.0, .inverse), (3.0, 2.0, 1.0, .inverse),
  ])
  func theSmallestLossWins(direct: Double, none: Double, inverse: Double, decision: Decision) {
    #expect(Decision(direct: direct, none: none, inverse: inverse) == decision)
  }

  @Test(arguments: [
    // A tie of direct with either is not enough for it.
    (1.0, 1.0, 2.0, Decision.none), (1.0, 2.0, 1.0, .inverse), (1.0, 1.0, 1.0, .none),
    // Nor is a tie with none enough for inverse.
    (2.0, 1.0, 1.0, .none), (1.0, 1.0, 0.5, .inverse),
    (1.0.nextDown, 1.0, 1.0, .direct), (1.0, 1.0, 1.0.nextDown, .inverse),
  ])
  func tiesFavourStaying(direct: Double, none: Double, inverse: Double, decision: Decision) {
    #expect(Decision(direct: direct, none: none, inverse: inverse) == decision)
  }

  /// Of `N` steps `⌊N·k/m⌋` are the main rule's, for every `N`, and they are evenly spread.
  @Test(arguments: [
    (0, 1), (1, 1), (1, 2), (1, 4), (3, 4), (1, 10), (3, 10), (7, 10), (9, 10), (1, 64), (1, 100),
  ])
  func theShareOfTheMainRuleIsExact(numerator: Int, denominator: Int) {
    let share = Double(numerator) / Double(denominator)
    var taken: [Int] = []
    for number in 0..<5000 {
      if StepSchedule.isMain(number, share: share) { taken.append(number) }
      #expect(taken.count == (number + 1) * numerator / denominator)
    }
    let gaps = zip(taken, taken.dropFirst()).map { $1 - $0 }
    #expect((gaps.max() ?? 0) - (gaps.min() ?? 0) <= 1)
  }
}
