import Kernels
import Testing

@Suite struct CausalAttentionTests {
  typealias Shape = CausalAttention.Shape

  static let shapes = [
    Shape(length: 1, columns: 1), Shape(length: 7, columns: 8), Shape(length: 8, columns: 7),
    Shape(length: 9, columns: 10, heads: 2), Shape(length: 31, columns: 9, heads: 3),
  ]

  private static func problem(_ shape: Shape, rate: Float) -> AttentionProblem {
    let length = UInt32(shape.length)
    return AttentionProblem(
      shape, padding: [0, length / 2, length, length - 1], rate: rate, seed: 21)
  }

  /// A logit is a sum of w products ≤ 1 over √w, with w + 3 roundings: its error is below
  /// `(w + 3) √w u`, twice that relative for a power and its sum, plus T + 6 roundings of the sum,
  /// the exponential (2) and the rest. Outputs are means of values ≤ 1, over 1 − rate, T roundings.
  private static func bound(_ shape: Shape, rate: Float) -> Double {
    let width = Double(shape.columns / shape.heads)
    let roundings =
      2 * (width + 3) * width.squareRoot() + 2 * Double(shape.length) + 12
    return 1.01 * roundings * roundoff / (1 - Double(rate))
  }

  @Test(arguments: shapes + [Shape(length: 50, columns: 50)], [Float(0), 0.5])
  func forwardMatchesTheScalarFormula(shape: Shape, rate: Float) {
    let problem = Self.problem(shape, rate: rate)
    let result = problem.run()
    for (value, expected) in zip(result.output.values, problem.reference()) {
      #expect(abs(Double(value) - expected) <= Self.bound(shape, rate: rate))
    }
    #expect(result.output.isPadded)
  }

  /// Every row of probabilities sums to 1 over what it may see and is zero elsewhere.
  @Test(arguments: shapes)
  func probabilitiesAreCausal(shape: Shape) {
    let problem = Self.problem(shape, rate: 0)
    let (all, stride) = (problem.run().probabilities, shape.probabilityStride)
    for start in Swift.stride(from: 0, to: all.count, by: stride) {
      let row = start / stride % shape.length
      let padding = Int(problem.padding[start / stride / shape.length / shape.heads])
      var sum = 0.0
      for column in 0..<stride {
        let value = all[start + column]
        if column >= padding && column <= row {
          #expect(value > 0)
          sum += Double(value)
        } else {
          #expect(value == 0)
        }
      }
      // T + 2 roundings of positive terms that sum to 1.
      #expect(abs(sum - (row < padding ? 0 : 1)) <= Double(shape.length + 2) * roundoff)
    }
  }

  /// Gradients are sums of at most T terms, each with a factor below w/(1 − rate) that has the error
  /// of an output. A third derivative is below `6 T w² / (1 − rate)`.
  @Test(arguments: shapes, [Float(0), 0.5])
  func gradientsMatchFiniteDifferences(shape: Shape, rate: Float) {
    let problem = Self.problem(shape, rate: rate)
    let result = problem.run()
    let (length, width) = (Double(shape.length), Double(shape.columns / shape.heads))
    let bound =
      2 * length * width * Self.bound(shape, rate: rate)
      + length * width * width / (1 - Double(rate)) * 0x1p-24
    let delta = problem.delta.doubles
    func check(_ rows: Rows, _ start: Rows, _ output: ([Double]) -> [Double]) {
      #expect(rows.isPadded)
      let values = start.doubles
      for (place, gradient) in rows.values.enumerated() where place % 3 == 0 || values.count < 500 {
        let expected = centralDifference(values, place) { objective(output($0), delta) }
        #expect(abs(Double(gradient) - expected) <= bound)
      }
    }
    check(result.queries, problem.queries) { problem.reference(queries: $0) }
    check(result.keys, problem.keys) { problem.reference(keys: $0) }
    check(result.values, problem.values) { problem.reference(values: $0) }
  }

  /// What lies in empty places, and which sequences share a batch, does not show in the bits.
  @Test(arguments: shapes)
  func sequencesStandAlone(shape: Shape) {
    let problem = Self.problem(shape, rate: 0.5)
    let size = shape.length * shape.columns
    let all = problem.run()
    for (sequence, padding) in problem.padding.enumerated() {
      func part(_ rows: Rows) -> Rows {
        var values = Array(rows.values[sequence * size..<(sequence + 1) * size])
        for place in 0..<Int(padding) * shape.columns { values[place] = .nan }
        return Rows(values, columns: shape.columns, offset: 3)
      }
      let count = shape.heads * shape.length * shape.length
      let alone = AttentionProblem(
        shape, padding: [padding], queries: part(problem.queries), keys: part(problem.keys),
        values: part(problem.values), delta: part(problem.delta), rate: problem.rate,
        keep: Array(problem.keep[sequence * count..<(sequence + 1) * count])
      ).run()
      for (rows, other) in [
        (all.output, alone.output), (all.queries, alone.queries), (all.keys, alone.keys),
        (all.values, alone.values),
      ] {
        #expect(
          rows.values[sequence * size..<(sequence + 1) * size].map { $0 }.bits
            == other.values.bits)
      }
    }
  }

  /// Logits far apart, where a careless exponential would overflow.
  @Test func largeLogitsStayFinite() {
    var problem = Self.problem(Shape(length: 9, columns: 10), rate: 0)
    problem.queries = Rows(problem.queries.values.map { 1000 * $0 }, columns: 10)
    let result = problem.run()
    for rows in [result.output, result.queries, result.keys, result.values] {
      #expect(rows.values.allSatisfy { $0.isFinite })
    }
  }

  /// The bounds of the tests above, for 9 places and heads of 5 columns; values are exact.
  @Test func attentionMatchesTheScript() throws {
    let golden = try LayerGolden.load("attention")
    let shape = Shape(length: 9, columns: 10, heads: 2)
    let problem = AttentionProblem(
      shape, padding: [3], queries: golden.input("q", columns: 10),
      keys: golden.input("k", columns: 10), values: golden.input("v", columns: 10),
      delta: golden.delta(columns: 10), rate: 0.25,
      keep: golden.indices("keep").map { $0 == 1 })
    let result = problem.run()
    let bound = Self.bound(shape, rate: 0.25) / roundoff
    #expect(golden.admits(result.output, golden.output, size: 1, roundings: Int(bound)))
    for (name, rows) in [("q", result.queries), ("k", result.keys), ("v", result.values)] {
      #expect(golden.admits(rows, golden.gradients[name], size: 2 * 9 * 5, roundings: Int(bound)))
    }
  }
}
