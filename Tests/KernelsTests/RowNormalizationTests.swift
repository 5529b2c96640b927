import Kernels
import Testing

@Suite struct RowNormalizationTests {
  static let columns = [1, 7, 8, 9, 31, 50]

  private static func forward(_ x: Rows) -> (y: Rows, norms: AlignedBuffer<Float>) {
    let (y, norms) = (
      Rows(filled: .nan, count: x.count, columns: x.columns), AlignedBuffer<Float>(count: x.count)
    )
    unsafe RowNormalization.forward(
      x.matrix, rows: x.count, columns: x.columns, norms: norms.pointer, into: y.mutable)
    return withExtendedLifetime(x) { (y, norms) }
  }

  private static func backward(_ y: Rows, _ norms: AlignedBuffer<Float>, _ delta: Rows) -> Rows {
    let dx = delta.copy
    unsafe RowNormalization.backward(
      outputs: y.matrix, norms: norms.pointer, outputGradient: dx.matrix, rows: y.count,
      columns: y.columns, into: dx.mutable)
    return withExtendedLifetime((y, norms)) { dx }
  }

  private static func reference(_ x: [Double], columns: Int) -> [Double] {
    x.indices.map { place in
      let start = place / columns * columns
      let square = x[start..<start + columns].reduce(0) { $0 + $1 * $1 }
      return x[place] / max(square.squareRoot(), 1e-12)
    }
  }

  /// A sum of squares has relative error n + 1, its root half of it and 1, the quotient 1.
  @Test(arguments: columns)
  func rowsHaveLengthOne(columns: Int) {
    var draws = Draws(seed: 7)
    let x = Rows(draws.floats(5 * columns), columns: columns)
    let y = Self.forward(x).y
    for (value, expected) in zip(y.values, Self.reference(x.doubles, columns: columns)) {
      #expect(abs(Double(value) - expected) <= Double(columns + 6) / 2 * roundoff * abs(expected))
    }
    #expect(y.isPadded)
  }

  /// `y · ∂y` is below n with 2n + 8 roundings; third derivatives of the quotient are below 24/r³.
  @Test(arguments: columns)
  func gradientMatchesFiniteDifferences(columns: Int) {
    var draws = Draws(seed: 8)
    let x = Rows(draws.floats(3 * columns).map { $0 < 0 ? $0 - 0.5 : $0 + 0.5 }, columns: columns)
    let delta = Rows(draws.floats(3 * columns), columns: columns)
    let (y, norms) = Self.forward(x)
    let dx = Self.backward(y, norms, delta)
    // Lengths are at least ½.
    let bound =
      2 * Double(columns * (2 * columns + 12)) * roundoff + Double(columns) * 24 * 8 * 0x1p-24 / 6
    for (place, gradient) in dx.values.enumerated() {
      let expected = centralDifference(x.doubles, place) {
        objective(Self.reference($0, columns: columns), delta.doubles)
      }
      #expect(abs(Double(gradient) - expected) <= bound)
    }
    #expect(dx.isPadded)
  }

  @Test func shortRowsAreDividedByAConstant() {
    let x = Rows([0, 0, 1e-13, 0], columns: 2)
    let (y, norms) = Self.forward(x)
    #expect(y.values[0..<2] == [0, 0])
    #expect(y.values[2] == 1e-13 / RowNormalization.epsilon)
    let dx = Self.backward(y, norms, Rows([1, 2, 3, 4], columns: 2))
    #expect(dx.values == [1, 2, 3, 4].map { $0 / RowNormalization.epsilon })
  }

  @Test func whatIsNotANumberStaysSo() {
    let (y, norms) = Self.forward(Rows([.nan, 1], columns: 2))
    #expect(y.values.allSatisfy { $0.isNaN })
    #expect(Self.backward(y, norms, Rows([1, 1], columns: 2)).values.allSatisfy { $0.isNaN })
  }

  /// 10 columns: as above, with lengths of at least 0.9 there.
  @Test func normalisationMatchesTheScript() throws {
    let golden = try LayerGolden.load("normalize")
    let (y, norms) = Self.forward(golden.input("x", columns: 10))
    #expect(golden.admits(y, golden.output, size: 1, roundings: 8))
    let dx = Self.backward(y, norms, golden.delta(columns: 10))
    #expect(golden.admits(dx, golden.gradients["x"], size: 10, roundings: 32))
  }
}
