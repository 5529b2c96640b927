import Kernels
import Testing

@Suite struct RectifiedLinearTests {
  static let columns = [0, 1, 7, 8, 9, 31]

  private static func slope(_ isLeaky: Bool) -> Float { isLeaky ? LeakyRectifiedLinear.slope : 0 }

  private static func forward(_ values: Rows, bias: Rows?, isLeaky: Bool) {
    let (rows, columns) = (values.count, values.columns)
    if isLeaky {
      unsafe LeakyRectifiedLinear.forward(
        values.mutable, rows: rows, columns: columns, bias: bias?.pointer)
    } else {
      unsafe RectifiedLinear.forward(
        values.mutable, rows: rows, columns: columns, bias: bias?.pointer)
    }
    withExtendedLifetime((values, bias)) {}
  }

  private static func backward(_ outputs: Rows, _ gradients: Rows, isLeaky: Bool) {
    let (rows, columns) = (outputs.count, outputs.columns)
    if isLeaky {
      LeakyRectifiedLinear.backward(
        outputs: outputs.matrix, gradients: gradients.mutable, rows: rows, columns: columns)
    } else {
      RectifiedLinear.backward(
        outputs: outputs.matrix, gradients: gradients.mutable, rows: rows, columns: columns)
    }
    withExtendedLifetime(outputs) {}
  }

  /// One sum, one product: the scalar formula to the last bit.
  @Test(arguments: columns, [false, true])
  func matchesTheScalarFormula(columns: Int, isLeaky: Bool) {
    var draws = Draws(seed: 3)
    let start = Rows(draws.floats(5 * columns), columns: columns)
    let bias = Rows(draws.floats(columns), columns: columns)
    let delta = Rows(draws.floats(5 * columns), columns: columns)
    for bias in [nil, bias] {
      let (values, gradients) = (start.copy, delta.copy)
      Self.forward(values, bias: bias, isLeaky: isLeaky)
      Self.backward(values, gradients, isLeaky: isLeaky)
      for (place, value) in values.values.enumerated() {
        let sum = start.values[place] + (bias?.values[place % columns] ?? 0)
        #expect(value == (sum > 0 ? sum : Self.slope(isLeaky) * sum))
        let expected = delta.values[place] * (sum > 0 ? 1 : Self.slope(isLeaky))
        #expect(gradients.values[place] == expected)
      }
      #expect(values.isPadded && gradients.isPadded)
    }
  }

  /// Away from the kink the function is linear; the slope is rounded once, the product once.
  @Test(arguments: [false, true])
  func gradientMatchesFiniteDifferences(isLeaky: Bool) {
    var draws = Draws(seed: 4)
    let start = Rows(draws.floats(40).map { $0 < 0 ? $0 - 0.25 : $0 + 0.25 }, columns: 8)
    let (values, gradients) = (start.copy, Rows(filled: 1, count: 5, columns: 8))
    Self.forward(values, bias: nil, isLeaky: isLeaky)
    Self.backward(values, gradients, isLeaky: isLeaky)
    for (place, gradient) in gradients.values.enumerated() {
      let expected = centralDifference(start.doubles, place) { values in
        values.reduce(0) { $0 + ($1 > 0 ? $1 : (isLeaky ? 0.2 : 0) * $1) }
      }
      #expect(abs(Double(gradient) - expected) <= 2 * roundoff + 50 * 0x1p-41)
    }
  }

  @Test(arguments: [false, true])
  func whatIsNotANumberStaysSo(isLeaky: Bool) {
    let values = Rows([.nan, .infinity, -1, 0], columns: 4)
    Self.forward(values, bias: nil, isLeaky: isLeaky)
    #expect(values.values[0].isNaN && values.values[1] == .infinity && values.values[3] == 0)
  }

  /// The layer before adds at most 11 terms ≤ 1 in 12 roundings; one more for the slope, and at most
  /// 7 terms of 9 roundings backward.
  @Test(arguments: [("rectified", false), ("leaky", true)])
  func layersMatchTheScript(name: String, isLeaky: Bool) throws {
    let golden = try LayerGolden.load(name)
    let (x, weight) = (golden.input("x", columns: 10), golden.input("weight", columns: 10))
    let (bias, delta) = (golden.input("bias", columns: 7), golden.delta(columns: 7))
    let y = Rows(filled: .nan, count: 5, columns: 7)
    let layer = unsafe Linear.Layer(inputs: 10, outputs: 7, weight: weight.matrix)
    Linear.forward(layer, rows: 5, input: x.matrix, output: y.mutable)
    Self.forward(y, bias: bias, isLeaky: isLeaky)
    Self.backward(y, delta, isLeaky: isLeaky)
    let (dx, dWeight) = (
      Rows(filled: .nan, count: 5, columns: 10), Rows(filled: .nan, count: 7, columns: 10)
    )
    let dBias = Rows(filled: .nan, count: 1, columns: 7)
    unsafe Linear.backward(
      layer, rows: 5, input: x.matrix, outputGradient: delta.matrix, inputGradient: dx.mutable,
      gradients: Linear.Gradients(weight: dWeight.mutable, bias: dBias.pointer))
    withExtendedLifetime((x, weight, bias)) {}
    #expect(golden.admits(y, golden.output, size: 11, roundings: 13))
    #expect(golden.admits(dx, golden.gradients["x"], size: 7, roundings: 9))
    #expect(golden.admits(dWeight, golden.gradients["weight"], size: 5, roundings: 8))
    #expect(golden.admits(dBias, golden.gradients["bias"], size: 5, roundings: 8))
  }
}
