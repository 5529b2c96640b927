import Kernels
import Testing

@Suite struct LayerNormalizationTests {
  struct Problem {
    let columns: Int
    let (x, gamma, beta, delta): (Rows, Rows, Rows, Rows)
    let (means, scales): (AlignedBuffer<Float>, AlignedBuffer<Float>)

    init(x: Rows, gamma: Rows, beta: Rows, delta: Rows) {
      (self.x, self.gamma, self.beta, self.delta) = (x, gamma, beta, delta)
      columns = x.columns
      (means, scales) = (AlignedBuffer(count: x.count), AlignedBuffer(count: x.count))
    }

    init(rows: Int, columns: Int, seed: UInt64) {
      var draws = Draws(seed: seed)
      self.init(
        // Far enough apart that even a row of two numbers deviates by a quarter.
        x: Rows(
          draws.floats(rows * columns).enumerated().map {
            $0 % columns % 2 == 0 ? $1 + 1.25 : $1 - 1.25
          }, columns: columns),
        gamma: Rows(draws.floats(columns), columns: columns),
        beta: Rows(draws.floats(columns), columns: columns),
        delta: Rows(draws.floats(rows * columns), columns: columns))
    }

    var statistics: LayerNormalization.Statistics {
      unsafe LayerNormalization.Statistics(means: means.pointer, scales: scales.pointer)
    }

    func forward() -> Rows {
      let y = Rows(filled: .nan, count: x.count, columns: columns)
      unsafe LayerNormalization.forward(
        x.matrix, rows: x.count, columns: columns, gamma: gamma.pointer, beta: beta.pointer,
        statistics: statistics, into: y.mutable)
      return withExtendedLifetime(self) { y }
    }

    /// After `forward`.
    func backward(accumulating start: Float? = nil) -> (x: Rows, gamma: Rows, beta: Rows) {
      let dx = delta.copy
      let (dGamma, dBeta) = (
        Rows(filled: start ?? .nan, count: 1, columns: columns),
        Rows(filled: start ?? .nan, count: 1, columns: columns)
      )
      unsafe LayerNormalization.backward(
        x.matrix, statistics: statistics, gamma: gamma.pointer, outputGradient: dx.matrix,
        rows: x.count, columns: columns, into: dx.mutable,
        gradients: LayerNormalization.Gradients(
          gamma: dGamma.pointer, beta: dBeta.pointer, accumulates: start != nil))
      return withExtendedLifetime(self) { (dx, dGamma, dBeta) }
    }

    func reference(x: [Double]? = nil, gamma: [Double]? = nil, beta: [Double]? = nil) -> [Double] {
      let (x, gamma, beta) = (
        x ?? self.x.doubles, gamma ?? self.gamma.doubles, beta ?? self.beta.doubles
      )
      var output: [Double] = []
      for start in stride(from: 0, to: x.count, by: columns) {
        let row = x[start..<start + columns]
        let mean = row.reduce(0, +) / Double(columns)
        let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
        let scale = 1 / (variance + 1e-8).squareRoot()
        output += row.enumerated().map { ($1 - mean) * scale * gamma[$0] + beta[$0] }
      }
      return output
    }
  }

  static let columns = [2, 7, 8, 9, 31, 50]

  /// Deviations are above 0.1 in these rows and numbers below 2.25, so their quotients are below 23;
  /// mean and deviation have n + 4 roundings each, what is made of them six more.
  private static func bound(_ columns: Int) -> Double {
    1.01 * 23 * Double(2 * (columns + 4) + 6) * roundoff
  }

  @Test(arguments: columns)
  func forwardMatchesTheScalarFormula(columns: Int) {
    let problem = Problem(rows: 5, columns: columns, seed: 11)
    let y = problem.forward()
    #expect(problem.scales.values.allSatisfy { $0 < 10 })
    for (value, expected) in zip(y.values, problem.reference()) {
      #expect(abs(Double(value) - expected) <= Self.bound(columns))
    }
    #expect(y.isPadded)
  }

  /// The gradient by x is below `10 · (1 + 1 + 20)`, with the roundings above; a third derivative is
  /// below `100 · 10³ n`, so a difference errs by at most `10⁵ n 2⁻²⁴ / 6`. Others are linear.
  @Test(arguments: columns)
  func gradientsMatchFiniteDifferences(columns: Int) {
    let problem = Problem(rows: 5, columns: columns, seed: 11)
    _ = problem.forward()
    let gradients = problem.backward()
    let smooth = 22 * 10 * Double(4 * (columns + 8)) * roundoff
    func check(_ rows: Rows, _ bound: Double, _ difference: (Int) -> Double) {
      #expect(rows.isPadded)
      for (place, value) in rows.values.enumerated() {
        #expect(abs(Double(value) - difference(place)) <= bound)
      }
    }
    let delta = problem.delta.doubles
    let steepest = Double(problem.scales.values.max() ?? 0)
    let third = 100 * steepest * steepest * steepest * 0x1p-24 / 6
    check(gradients.x, smooth + third) { place in
      centralDifference(problem.x.doubles, place) { objective(problem.reference(x: $0), delta) }
    }
    check(gradients.gamma, 5 * Self.bound(columns) + 1e-9) { place in
      centralDifference(problem.gamma.doubles, place) {
        objective(problem.reference(gamma: $0), delta)
      }
    }
    check(gradients.beta, 5 * 5 * roundoff + 1e-9) { place in
      centralDifference(problem.beta.doubles, place) {
        objective(problem.reference(beta: $0), delta)
      }
    }
  }

  @Test func gradientsAccumulate() {
    let problem = Problem(rows: 5, columns: 9, seed: 12)
    _ = problem.forward()
    let (plain, added) = (problem.backward(), problem.backward(accumulating: 1))
    for (plain, added) in [(plain.gamma, added.gamma), (plain.beta, added.beta)] {
      for (x, y) in zip(plain.values, added.values) {
        // Sums of 6 numbers, 5 of them at most 20.
        #expect(abs(Double(y) - Double(x) - 1) <= 101 * 12 * roundoff)
      }
    }
    #expect(plain.x.values.bits == added.x.values.bits)
  }

  @Test func aConstantRowBecomesBeta() {
    let problem = Problem(
      x: Rows([3, 3, 3], columns: 3), gamma: Rows([1, 2, 3], columns: 3),
      beta: Rows([4, 5, 6], columns: 3), delta: Rows([1, 1, 1], columns: 3))
    #expect(problem.forward().values == [4, 5, 6])
  }

  @Test func noRowsGiveZeroGradients() {
    let gradients = Problem(rows: 0, columns: 9, seed: 1).backward()
    #expect(gradients.gamma.values.allSatisfy { $0 == 0 })
    #expect(gradients.beta.values.allSatisfy { $0 == 0 })
  }

  /// 50 uniform numbers deviate by more than 0.5: normal values are below 4, gradients below 12.
  @Test func normalisationMatchesTheScript() throws {
    let golden = try LayerGolden.load("layer_norm")
    let problem = Problem(
      x: golden.input("x", columns: 50), gamma: golden.input("gamma", columns: 50),
      beta: golden.input("beta", columns: 50), delta: golden.delta(columns: 50))
    let y = problem.forward()
    let gradients = problem.backward()
    #expect(golden.admits(y, golden.output, size: 5, roundings: 114))
    #expect(golden.admits(gradients.x, golden.gradients["x"], size: 12, roundings: 228))
    #expect(golden.admits(gradients.gamma, golden.gradients["gamma"], size: 16, roundings: 118))
    #expect(golden.admits(gradients.beta, golden.gradients["beta"], size: 4, roundings: 4))
  }
}
