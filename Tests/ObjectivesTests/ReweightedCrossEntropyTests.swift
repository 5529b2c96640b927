import Foundation
import Objectives
import Testing

@Suite struct ReweightedCrossEntropyTests {
  private static func evaluate(
    _ logit: Float, label: Float, power: Float
  ) -> (loss: Double, gradient: Float) {
    ObjectivesTests.evaluate(
      { ReweightedCrossEntropy.evaluate($0, power: power, scale: $1) }, logit, label: label)
  }

  /// The probability of the label.
  private static func probability(_ y: Double, _ label: Float) -> Double {
    Reference.sigmoid(label == 0 ? -y : y)
  }

  /// The exponent `−β ℓ` has 8.6 roundings, which its size turns into relative errors of the
  /// weight; the exponential has 2.6 of its own, and 7.6 are in the loss and 1 in the product.
  /// Beyond an exponent of −87.3 the weight is 0.
  @Test(arguments: [0, 0.25, 1] as [Float]) func lossesMatchDouble(power: Float) {
    for logit in ordinaryLogits {
      for label in [Float(0), 1] {
        let plain = Reference.crossEntropy(Double(logit), label: Double(label))
        let exponent = Double(power) * plain
        let expected = pow(Self.probability(Double(logit), label), Double(power)) * plain
        let bound =
          (12 + 9 * exponent) * roundoff * expected + 2 * smallestExponential * (1 + plain)
        let result = Self.evaluate(logit, label: label, power: power)
        #expect(abs(result.loss - expected) <= bound, "\(logit), \(label)")
      }
    }
  }

  /// Central differences in Double with the weight held constant, as in ``BatchTests``; the weight
  /// is at most 1, and its relative error times its size at most 9 x eˣ roundings for x = −β ℓ ≤ 0,
  /// below 4, and 3 of its own.
  @Test(arguments: [0, 0.25, 1] as [Float]) func gradientsMatchFiniteDifferences(power: Float) {
    let h = 1e-4
    for logit in ordinaryLogits {
      for label in [Float(0), 1] {
        let y = Double(logit)
        let weight = pow(Self.probability(y, label), Double(power))
        let up = weight * Reference.crossEntropy(y + h, label: Double(label))
        let down = weight * Reference.crossEntropy(y - h, label: Double(label))
        let gradient = Self.evaluate(logit, label: label, power: power).gradient
        #expect(abs(Double(gradient) - (up - down) / (2 * h)) <= 18 * roundoff + 5e-10)
      }
    }
  }

  @Test func powerZeroIsPlainCrossEntropy() {
    for logit in ordinaryLogits {
      for label in [Float(0), 1] {
        let plain = ObjectivesTests.evaluate(objectives[0].evaluate, logit, label: label)
        let result = Self.evaluate(logit, label: label, power: 0)
        #expect(result.loss == plain.loss && result.gradient == plain.gradient)
      }
    }
  }

  @Test func negativesAreRowsWithLabelZero() {
    let zeros = ObjectivesTests.evaluate(
      { ReweightedCrossEntropy.evaluate($0, power: 0.7, scale: $1) }, ordinaryLogits, scale: 0.3)
    let labels = [Float](repeating: 1, count: ordinaryLogits.count)
    let negatives = ObjectivesTests.evaluate(
      objectives[4].evaluate, ordinaryLogits, labels: labels, scale: 0.3)
    #expect(zeros.sum == negatives.sum && zeros.gradients == negatives.gradients)
  }
}
