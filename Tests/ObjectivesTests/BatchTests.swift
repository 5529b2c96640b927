import Objectives
import Testing

/// What all objectives promise about batches.
@Suite struct BatchTests {
  static let logits: [Float] = (0..<40).map { Float($0 * $0 % 37 - 18) * 0.61 }
  static let labels: [Float] = (0..<40).map { $0 % 3 == 0 ? 1 : 0 }

  @Test(arguments: [0, 1, 7, 8, 9, 15, 16, 31], objectives.indices)
  func aRowDoesNotDependOnItsPlaceOrTheLengthOfTheBatch(count: Int, kind: Int) {
    let objective = objectives[kind].evaluate
    for start in [0, 1, 5] {
      let rows = start..<start + count
      let batch = evaluate(
        objective, Array(Self.logits[rows]), labels: Array(Self.labels[rows]), scale: 0.37)
      #expect(batch.gradients.count == count)
      var sum = 0.0
      for (position, row) in rows.enumerated() {
        let alone = evaluate(
          objective, [Self.logits[row]], labels: [Self.labels[row]], scale: 0.37)
        #expect(batch.gradients[position].bitPattern == alone.gradients[0].bitPattern)
        sum += alone.sum
      }
      // Losses are positive; eight of them take two additions of Float before Double.
      #expect(abs(batch.sum - sum) <= 2.01 * roundoff * sum)
    }
  }

  /// Rows beyond the batch are neither read into the sum nor written.
  @Test(arguments: objectives.indices)
  func anEmptyBatchCostsNothing(kind: Int) {
    #expect(evaluate(objectives[kind].evaluate, []).sum == 0)
  }

  @Test(arguments: objectives.indices, [0, 1, -2, 0.125, 0.3] as [Float])
  func theScaleMultipliesGradientsOnly(kind: Int, scale: Float) {
    let objective = objectives[kind].evaluate
    let plain = evaluate(objective, Self.logits, labels: Self.labels)
    let scaled = evaluate(objective, Self.logits, labels: Self.labels, scale: scale)
    #expect(scaled.sum == plain.sum)
    #expect(scaled.gradients == plain.gradients.map { scale * $0 })
  }

  @Test(arguments: objectives.indices)
  func aNaNStaysInItsRowAndReachesTheSum(kind: Int) {
    let objective = objectives[kind].evaluate
    let plain = evaluate(objective, Self.logits, labels: Self.labels)
    for position in [0, 3, 39] {
      for label in [Float(0), 1] {
        var (logits, labels) = (Self.logits, Self.labels)
        (logits[position], labels[position]) = (.nan, label)
        let result = evaluate(objective, logits, labels: labels)
        #expect(result.sum.isNaN)
        #expect(result.gradients[position].isNaN)
        for row in logits.indices where row != position {
          #expect(result.gradients[row] == plain.gradients[row])
        }
      }
    }
  }

  /// Central differences of the formula in Double: the third derivative of all losses is below
  /// 0.1, so h = 10⁻⁴ leaves 2e-10, and the rounding of losses up to 90 the same. The kernel's
  /// gradient has at most ten roundings of numbers below 1.
  @Test func gradientsMatchFiniteDifferences() {
    let h = 1e-4
    for logit in ordinaryLogits {
      let y = Double(logit)
      for label in [Float(0), 1] {
        let up = Reference.crossEntropy(y + h, label: Double(label))
        let down = Reference.crossEntropy(y - h, label: Double(label))
        let gradient = evaluate(objectives[0].evaluate, logit, label: label).gradient
        #expect(abs(Double(gradient) - (up - down) / (2 * h)) <= 10 * roundoff + 5e-10)
      }
      let up = Reference.dualLoss(y + h, weightsAt: y)
      let down = Reference.dualLoss(y - h, weightsAt: y)
      let gradient = evaluate(objectives[2].evaluate, logit).gradient
      #expect(abs(Double(gradient) - (up - down) / (2 * h)) <= 10 * roundoff + 5e-10)
    }
  }
}
