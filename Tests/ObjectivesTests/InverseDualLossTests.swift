import Objectives
import Testing

@Suite struct InverseDualLossTests {
  private static let objective = objectives[2].evaluate

  /// y, σ(y), w⁺, ℓ and −∂ℓ/∂y, computed once in 50 digits and rounded to six.
  static let golden: [(y: Float, sigmoid: Double, weight: Double, loss: Double, slope: Double)] = [
    (0, 0.500000, 0.500000, 0.693147, 0.000000),
    (0.1, 0.524979, 0.571634, 0.687233, 0.046654),
    (0.5, 0.622459, 0.808492, 0.569831, 0.186033),
    (1, 0.731059, 0.946163, 0.367098, 0.215105),
    (2, 0.880797, 0.996451, 0.134025, 0.115654),
    (4, 0.982014, 0.999980, 0.018232, 0.017966),
    (8, 0.999665, 1.000000, 0.000335, 0.000335),
  ]

  /// Half of the sixth digit of the table, and ten roundings.
  @Test(arguments: golden)
  func matchesTheTable(y: Float, sigmoid: Double, weight: Double, loss: Double, slope: Double) {
    let bound = 0.5e-6 + 10 * roundoff
    for sign in [Float(1), -1] {
      let result = evaluate(Self.objective, sign * y)
      #expect(abs(result.loss - loss) <= bound)
      #expect(abs(Double(result.gradient) - Double(-sign) * slope) <= bound)
      let positive = sign > 0 ? (sigmoid, weight) : (1 - sigmoid, 1 - weight)
      let logistic = evaluate(objectives[0].evaluate, sign * y, label: 0).gradient
      #expect(abs(Double(logistic) - positive.0) <= bound)
      #expect(abs(Double(softLabels([sign * y])[0]) - positive.1) <= bound)
    }
  }

  /// The ratio of the losses has 6.6 + 7.6 roundings and its own, its square twice that; with
  /// r ≤ 1 no sum in the formula makes them larger. What is below e⁻⁸⁷·³ is 0.
  @Test func matchesDouble() {
    for logit in ordinaryLogits {
      let y = Double(logit)
      let weight = Reference.positiveWeight(y)
      let expected = Reference.dualLoss(y, weightsAt: y)
      let result = evaluate(Self.objective, logit)
      #expect(
        abs(result.loss - expected) <= 45 * roundoff * expected
          + smallestExponential)
      let smaller = min(weight, 1 - weight)
      let label = Double(softLabels([logit])[0])
      #expect(
        abs(label - weight) <= 35 * roundoff * smaller + roundoff
          + smallestExponential)
    }
  }

  @Test func lossIsEvenAndDerivativeOddToTheLastBit() {
    for logit in ordinaryLogits + hugeLogits + [.infinity, .leastNonzeroMagnitude] {
      let (up, down) = (evaluate(Self.objective, logit), evaluate(Self.objective, -logit))
      #expect(up.loss.bitPattern == down.loss.bitPattern)
      #expect(up.gradient == -down.gradient)
    }
  }

  /// The loss falls away from its maximum at 0, and its derivative points there.
  @Test func zeroIsTheUnstablePoint() {
    for zero in [Float(0), -0.0] {
      let result = evaluate(Self.objective, zero)
      #expect(result.gradient == 0)
      #expect(result.loss == Double(Float(0.693_147_18)))
    }
    for logit in ordinaryLogits where abs(logit) > 0.01 && abs(logit) < 80 {
      let gradient = evaluate(Self.objective, logit).gradient
      #expect(logit > 0 ? gradient < 0 : gradient > 0)
    }
  }

  @Test(arguments: hugeLogits + [.infinity])
  func certainLogitsCostNothing(logit: Float) {
    for y in [logit, -logit] {
      let result = evaluate(Self.objective, y)
      #expect(result.loss == 0 && result.gradient == 0)
    }
    #expect(softLabels([logit, -logit]) == [1, 0])
  }

  @Test func weightsAreInTheUnitIntervalAndAddToOne() {
    let logits = ordinaryLogits + hugeLogits + hugeLogits.map { -$0 } + [.infinity, 0, -0.0]
    for (positive, negative) in zip(softLabels(logits), softLabels(logits.map { -$0 })) {
      #expect((0...1).contains(positive))
      #expect(positive + negative == 1)
    }
    #expect(softLabels([0, -0.0]) == [0.5, 0.5])
  }

  @Test func softLabelsGrowWithTheLogit() {
    let labels = softLabels(ordinaryLogits)
    #expect(zip(labels, labels.dropFirst()).allSatisfy { $0 <= $1 })
  }

  @Test func aSoftLabelDoesNotDependOnTheBatch() {
    for count in [0, 1, 7, 8, 9, 15, 16, 31] {
      let logits = Array(ordinaryLogits[1_990..<1_990 + count])
      #expect(softLabels(logits) == logits.map { softLabels([$0])[0] })
    }
    #expect(softLabels([.nan])[0].isNaN)
  }

  @Test func labelsAreNotUsed() {
    let (zeros, ones) = ([Float](repeating: 0, count: 40), [Float](repeating: 1, count: 40))
    let logits = Array(ordinaryLogits[1_980..<2_020])
    let first = evaluate(Self.objective, logits, labels: zeros)
    let second = evaluate(Self.objective, logits, labels: ones)
    #expect(first.sum == second.sum && first.gradients == second.gradients)
  }
}
