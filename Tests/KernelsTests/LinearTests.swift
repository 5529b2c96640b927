import Kernels
import Testing

@Suite struct LinearTests {
  static let shapes = [
    (0, 3, 2), (1, 1, 1), (7, 8, 9), (8, 7, 1), (9, 31, 7), (31, 9, 8), (5, 64, 32), (31, 33, 1),
  ]

  struct Problem {
    let (rows, inputs, outputs): (Int, Int, Int)
    let (x, weight, bias, delta): (Rows, Rows, Rows, Rows)

    init(_ shape: (Int, Int, Int), seed: UInt64 = 1, offset: Int = 0) {
      (rows, inputs, outputs) = shape
      var draws = Draws(seed: seed)
      x = Rows(draws.floats(rows * inputs), columns: inputs, offset: offset)
      weight = Rows(draws.floats(outputs * inputs), columns: inputs)
      bias = Rows(draws.floats(outputs), columns: outputs)
      delta = Rows(draws.floats(rows * outputs), columns: outputs, offset: offset)
    }

    var layer: Linear.Layer {
      unsafe Linear.Layer(
        inputs: inputs, outputs: outputs, weight: weight.matrix, bias: bias.pointer)
    }

    /// The objective in `Double`, for each of the tensors changed in turn.
    func objective(x: [Double]?, weight: [Double]?, bias: [Double]?) -> Double {
      let (x, weight) = (x ?? self.x.doubles, weight ?? self.weight.doubles)
      let bias = bias ?? self.bias.doubles
      var sum = 0.0
      for (place, delta) in delta.doubles.enumerated() {
        let (row, output) = (place / outputs, place % outputs)
        sum += delta * bias[output]
        for input in 0..<inputs {
          sum += delta * x[row * inputs + input] * weight[output * inputs + input]
        }
      }
      return sum
    }

    func backward(
      accumulating start: Float? = nil
    ) -> (x: Rows, weight: Rows, bias: Rows) {
      let dx = Rows(filled: .nan, count: rows, columns: inputs)
      let dWeight = Rows(filled: start ?? .nan, count: outputs, columns: inputs)
      let dBias = Rows(filled: start ?? .nan, count: 1, columns: outputs)
      unsafe Linear.backward(
        layer, rows: rows, input: x.matrix, outputGradient: delta.matrix,
        inputGradient: dx.mutable,
        gradients: Linear.Gradients(
          weight: dWeight.mutable, bias: dBias.pointer, accumulates: start != nil))
      return withExtendedLifetime(self) { (dx, dWeight, dBias) }
    }

    func forward() -> Rows {
      let y = Rows(filled: .nan, count: rows, columns: outputs)
      Linear.forward(layer, rows: rows, input: x.matrix, output: y.mutable)
      return withExtendedLifetime(self) { y }
    }
  }

  /// An output takes at most K + 2 roundings of its terms, in whatever order they are added.
  @Test(arguments: shapes)
  func forwardAgreesWithAScalarProduct(shape: (rows: Int, inputs: Int, outputs: Int)) {
    let problem = Problem(shape)
    let y = problem.forward()
    for (place, value) in y.values.enumerated() {
      let (row, output) = (place / shape.outputs, place % shape.outputs)
      var reference = Reference()
      reference.add(problem.bias.doubles[output])
      for input in 0..<shape.inputs {
        reference.add(
          problem.x.doubles[row * shape.inputs + input]
            * problem.weight.doubles[output * shape.inputs + input])
      }
      #expect(reference.admits(value, roundings: shape.inputs + 2))
    }
    #expect(y.isPadded)
  }

  /// The objective is linear in each number, so its difference is exact but for `Double`'s rounding,
  /// 2⁻⁴¹ of an objective below rows · outputs · (inputs + 1). A gradient has at most n terms of
  /// size 1 and n + 1 roundings.
  @Test(arguments: shapes)
  func gradientsMatchFiniteDifferences(shape: (rows: Int, inputs: Int, outputs: Int)) {
    let problem = Problem(shape)
    let gradients = problem.backward()
    let size = Double(shape.rows * shape.outputs * (shape.inputs + 1))
    func check(_ rows: Rows, terms: Int, _ difference: (Int) -> Double) {
      #expect(rows.isPadded)
      let bound = 1.01 * Double(terms * (terms + 1)) * roundoff + size * 0x1p-41
      for (place, value) in rows.values.enumerated() {
        #expect(abs(Double(value) - difference(place)) <= bound)
      }
    }
    check(gradients.x, terms: shape.outputs) { place in
      centralDifference(problem.x.doubles, place) {
        problem.objective(x: $0, weight: nil, bias: nil)
      }
    }
    check(gradients.weight, terms: shape.rows) { place in
      centralDifference(problem.weight.doubles, place) {
        problem.objective(x: nil, weight: $0, bias: nil)
      }
    }
    check(gradients.bias, terms: shape.rows) { place in
      centralDifference(problem.bias.doubles, place) {
        problem.objective(x: nil, weight: nil, bias: $0)
      }
    }
  }

  /// Adding to 1 is one more rounding of a sum of at most `rows + 1`.
  @Test(arguments: shapes)
  func gradientsAccumulate(shape: (rows: Int, inputs: Int, outputs: Int)) {
    let problem = Problem(shape)
    let (plain, added) = (problem.backward(), problem.backward(accumulating: 1))
    #expect(plain.x.values.bits == added.x.values.bits)
    let bound = Double((shape.rows + 1) * (shape.rows + 2)) * roundoff
    for (plain, added) in [(plain.weight, added.weight), (plain.bias, added.bias)] {
      for (x, y) in zip(plain.values, added.values) {
        #expect(abs(Double(y) - (Double(x) + 1)) <= bound)
      }
    }
  }

  /// Where a shard's rows start in memory depends on the number of ranks; the bits must not.
  @Test(arguments: shapes + [(512, 256, 128), (100, 56, 50)])
  func alignmentLeavesTheBits(shape: (rows: Int, inputs: Int, outputs: Int)) {
    let (first, other) = (Problem(shape), Problem(shape, offset: 3))
    #expect(first.forward().values.bits == other.forward().values.bits)
    let (a, b) = (first.backward(), other.backward())
    #expect(a.x.values.bits == b.x.values.bits)
    #expect(a.weight.values.bits == b.weight.values.bits)
    #expect(a.bias.values.bits == b.bias.values.bits)
  }

  @Test func scoresMayBeAPlainList() {
    let problem = Problem((9, 31, 1))
    let scores = AlignedBuffer<Float>(count: 9)
    unsafe Linear.forward(
      problem.layer, rows: 9, input: problem.x.matrix,
      output: MutableMatrix(scores.pointer, stride: 1))
    #expect(scores.values.bits == problem.forward().values.bits)
  }

  /// Terms are products of two numbers ≤ 1; sums of at most 32 of them, 33 roundings.
  @Test func aSingleOutputMatchesTheScript() throws {
    let golden = try LayerGolden.load("single")
    let (x, weight) = (golden.input("x", columns: 31), golden.input("weight", columns: 31))
    let (bias, delta) = (golden.input("bias", columns: 1), golden.delta(columns: 1))
    let y = Rows(filled: .nan, count: 9, columns: 1)
    let (dx, dWeight) = (
      Rows(filled: .nan, count: 9, columns: 31), Rows(filled: .nan, count: 1, columns: 31)
    )
    let dBias = Rows(filled: .nan, count: 1, columns: 1)
    let layer = unsafe Linear.Layer(
      inputs: 31, outputs: 1, weight: weight.matrix, bias: bias.pointer)
    Linear.forward(layer, rows: 9, input: x.matrix, output: y.mutable)
    unsafe Linear.backward(
      layer, rows: 9, input: x.matrix, outputGradient: delta.matrix, inputGradient: dx.mutable,
      gradients: Linear.Gradients(weight: dWeight.mutable, bias: dBias.pointer))
    #expect(golden.admits(y, golden.output, size: 32, roundings: 33))
    #expect(golden.admits(dx, golden.gradients["x"], size: 1, roundings: 1))
    #expect(golden.admits(dWeight, golden.gradients["weight"], size: 9, roundings: 10))
    #expect(golden.admits(dBias, golden.gradients["bias"], size: 9, roundings: 9))
    withExtendedLifetime((x, weight, bias, delta)) {}
  }
}
