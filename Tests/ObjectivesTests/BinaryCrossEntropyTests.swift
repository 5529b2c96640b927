import Objectives
import Testing

@Suite struct BinaryCrossEntropyTests {
  private static let objective = objectives[0].evaluate

  /// The small loss has 6.6 roundings of its own size (1.3 ulp of the exponential, 2 ulp of the
  /// logarithm); the large one those and the addition. Losses below e⁻⁸⁷·³ are 0.
  @Test func lossesMatchDouble() {
    for logit in ordinaryLogits {
      for label in [Float(0), 1] {
        let expected = Reference.crossEntropy(Double(logit), label: Double(label))
        let loss = evaluate(Self.objective, logit, label: label).loss
        #expect(
          abs(loss - expected) <= 7.6 * roundoff * expected
            + smallestExponential)
      }
    }
  }

  /// The smaller of σ and 1 − σ has five roundings of its own size, the other one more of 1.
  @Test func gradientsMatchDouble() {
    for logit in ordinaryLogits {
      for label in [Float(0), 1] {
        let y = Double(label == 0 ? logit : -logit)
        let expected = Reference.sigmoid(y)
        let minority = min(expected, Reference.sigmoid(-y))
        let gradient = evaluate(Self.objective, logit, label: label).gradient
        let size = Double(label == 0 ? gradient : -gradient)
        let bound =
          5 * roundoff * minority
          + (y > 0 ? roundoff : smallestExponential)
        #expect(abs(size - expected) <= bound)
      }
    }
  }

  @Test func labelsAreSymmetricToTheLastBit() {
    for logit in ordinaryLogits + hugeLogits + [.infinity] {
      let positive = evaluate(Self.objective, logit, label: 1)
      let negative = evaluate(Self.objective, -logit, label: 0)
      #expect(positive.loss.bitPattern == negative.loss.bitPattern)
      #expect(positive.gradient == -negative.gradient)
    }
  }

  @Test(arguments: hugeLogits + [.infinity])
  func certainLogitsCostNothingOrThemselves(logit: Float) {
    let right = evaluate(Self.objective, logit, label: 1)
    #expect(right.loss == 0 && right.gradient == 0)
    let wrong = evaluate(Self.objective, logit, label: 0)
    #expect(wrong.loss == Double(logit) && wrong.gradient == 1)
  }

  @Test(arguments: [Float(0), -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude])
  func anUndecidedLogitCostsTheLogarithmOfTwo(logit: Float) {
    for label in [Float(0), 1] {
      let result = evaluate(Self.objective, logit, label: label)
      #expect(result.loss == Double(Float(0.693_147_18)))
      #expect(result.gradient == (label == 0 ? 0.5 : -0.5))
    }
  }

  @Test func negativesAreRowsWithLabelZero() {
    let labels = ordinaryLogits.indices.map { Float($0 % 2) }
    let negatives = evaluate(objectives[1].evaluate, ordinaryLogits, labels: labels, scale: 0.3)
    let zeros = evaluate(Self.objective, ordinaryLogits, scale: 0.3)
    #expect(negatives.sum.bitPattern == zeros.sum.bitPattern)
    #expect(negatives.gradients.map(\.bitPattern) == zeros.gradients.map(\.bitPattern))
  }
}
