import Kernels
import Objectives
import Testing

@Suite struct BayesianPersonalizedRankingTests {
  /// Scores of positive and unlabeled rows, and which belong together.
  struct Pairs {
    var positives: [Float]
    var unlabeled: [Float]
    let partners: [UInt32]

    /// Twelve positive rows with one, two or no unlabeled row each; `count` pairs.
    init(count: Int, seed: Int) {
      positives = (0..<12).map { Float(($0 * 37 + seed) % 23 - 11) * 0.31 }
      unlabeled = (0..<count).map { Float(($0 * 53 + 7 * seed) % 29 - 14) * 0.27 }
      partners = (0..<count).map { UInt32($0 * 2 / 3 % 12) }
    }

    /// The sum of the losses in Double.
    var loss: Double {
      unlabeled.indices.reduce(0) { sum, pair in
        sum
          + Reference.softplus(
            Double(unlabeled[pair]) - Double(positives[Int(partners[pair])]))
      }
    }

    func evaluate(scale: Float = 1) -> (sum: Double, positives: [Float], unlabeled: [Float]) {
      let sides = [positives, unlabeled].map { logits in
        let buffers = (0..<2).map { _ in AlignedBuffer<Float>(count: logits.count) }
        for row in logits.indices {
          unsafe buffers[0].pointer[row] = logits[row]
          unsafe buffers[1].pointer[row] = .nan
        }
        return buffers
      }
      let batches = sides.map { buffers in
        unsafe LogitBatch(
          logits: buffers[0].pointer, labels: buffers[0].pointer, gradients: buffers[1].pointer,
          count: buffers[0].count)
      }
      let partners = AlignedBuffer<UInt32>(count: self.partners.count)
      for (row, partner) in self.partners.enumerated() { unsafe partners.pointer[row] = partner }
      let sum = unsafe BayesianPersonalizedRanking.evaluate(
        batches[0], batches[1], partners: partners.pointer, scale: scale)
      return withExtendedLifetime((sides, partners)) {
        unsafe (sum, Array(sides[0][1].elements), Array(sides[1][1].elements))
      }
    }
  }

  /// A margin is rounded once, by at most 8 · 2⁻²⁴, and moves a loss by as much; a loss has 7.6
  /// roundings, two more in the sum of eight.
  @Test(arguments: [0, 1, 7, 8, 9, 31]) func lossesMatchDouble(count: Int) {
    for seed in 0..<5 {
      let pairs = Pairs(count: count, seed: seed)
      let bound = Double(count) * 8 * roundoff + 9.7 * roundoff * pairs.loss
      #expect(abs(pairs.evaluate().sum - pairs.loss) <= bound)
    }
  }

  /// As in ``BatchTests``: a pair adds at most 10 roundings of numbers below 1, and ¼ of the
  /// margin's, of up to 8; a positive row here has at most five pairs.
  @Test(arguments: [1, 8, 31]) func gradientsMatchFiniteDifferences(count: Int) {
    let h = Float(0x1p-13)
    let pairs = Pairs(count: count, seed: 3)
    let result = pairs.evaluate()
    let bound = 5 * (12 * roundoff + 5e-9)
    func difference(_ side: WritableKeyPath<Pairs, [Float]>, _ row: Int) -> Double {
      var (up, down) = (pairs, pairs)
      up[keyPath: side][row] += h
      down[keyPath: side][row] -= h
      return (up.loss - down.loss)
        / (Double(up[keyPath: side][row]) - Double(down[keyPath: side][row]))
    }
    for row in 0..<12 {
      #expect(abs(Double(result.positives[row]) - difference(\.positives, row)) <= bound)
    }
    for row in 0..<count {
      #expect(abs(Double(result.unlabeled[row]) - difference(\.unlabeled, row)) <= bound)
    }
  }

  @Test func theScaleMultipliesGradientsOnly() {
    let pairs = Pairs(count: 17, seed: 1)
    let (plain, scaled) = (pairs.evaluate(), pairs.evaluate(scale: 0.25))
    #expect(plain.sum == scaled.sum)
    #expect(scaled.positives == plain.positives.map { 0.25 * $0 })
    #expect(scaled.unlabeled == plain.unlabeled.map { 0.25 * $0 })
  }

  @Test func rowsWithoutPairsGetZero() {
    let pairs = Pairs(count: 4, seed: 2)
    let result = pairs.evaluate()
    for row in 0..<12 where !pairs.partners.contains(UInt32(row)) {
      #expect(result.positives[row] == 0)
    }
  }

  @Test func whatIsNoNumberReachesTheSum() {
    var pairs = Pairs(count: 9, seed: 2)
    pairs.unlabeled[8] = .nan
    #expect(pairs.evaluate().sum.isNaN)
  }
}
