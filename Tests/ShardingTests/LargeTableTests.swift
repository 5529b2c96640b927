import Kernels
import Sharding
import Testing

/// Tables of more than 2³¹ elements, of which only the last rows are ever touched.
@Suite struct LargeTableTests {
  private static let layout = RowLayout(factors: 32, hasBias: false)
  /// 2³¹ + 288 floats.
  private static let rows = 1 << 26 + 9
  private static let optimizers: [RowOptimizer] = [
    .gradientDescent, .adagrad, .rowwiseAdagrad, .adam,
  ]

  private func table(_ rows: Int, _ optimizer: RowOptimizer) -> RowTable {
    RowTable(layout: Self.layout, held: 0..<rows, owned: 0..<rows, optimizer: optimizer)
  }

  private func last(_ count: Int, of table: RowTable) -> [Float] {
    let floats = count * Self.layout.stride
    return withExtendedLifetime(table) {
      unsafe Array(
        UnsafeBufferPointer(start: table.row(table.held.upperBound - count), count: floats))
    }
  }

  /// The last rows of a large table become what the last rows of a small one become.
  @Test(arguments: [0, 1, 2, 3]) func theLastRowsAreLikeAnyOthers(optimizer: Int) {
    let optimizer = Self.optimizers[optimizer]
    let stride = Self.layout.stride
    #expect(Self.rows * stride > 1 << 31)
    var results: [[Float]] = []
    for rows in [16, Self.rows] {
      let table = table(rows, optimizer)
      let index = AlignedBuffer((1...3).reversed().map { UInt32(rows - $0) })
      var draws = Draws(seed: 4)
      let start = AlignedBuffer(draws.floats(3 * stride))
      let gradients = AlignedBuffer(draws.floats(3 * stride))
      let copy = AlignedBuffer<Float>(count: 3 * stride)
      withExtendedLifetime((start, index, gradients)) {
        unsafe table.replace(index: index.pointer, count: 3, with: start.pointer)
        for number in 1...2 {
          unsafe table.update(
            RowOptimizer.Step(optimizer, rate: 0.125, decay: 0.5, number: number),
            index: index.pointer, count: 3, gradients: gradients.pointer)
        }
        unsafe table.shift(
          factor: 1, index: index.pointer, count: 3, shifts: gradients.pointer)
        unsafe table.gather(index: index.pointer, count: 3, into: copy.pointer)
      }
      results.append(last(5, of: table))
      #expect(copy.values.bits == Array(last(3, of: table)).bits)
    }
    #expect(results[0].bits == results[1].bits)
    #expect(results[0][..<(2 * stride)].allSatisfy { $0 == 0 })
    #expect(results[0][(2 * stride)...].contains { $0 != 0 })
  }

  /// Scores and gathered rows of a user and an item at the very end.
  @Test func kernelsReachTheLastRow() {
    let (layout, stride) = (Self.layout, Self.layout.stride)
    let table = table(Self.rows, .gradientDescent)
    let last = Self.rows - 1
    for factor in 0..<stride { unsafe table.row(last)[factor] = Float(factor % 5) - 2 }
    let index = AlignedBuffer([UInt32(last)])
    let dense = AlignedBuffer<Float>(count: WeightedProduct.denseCount(layout))
    for factor in 0..<stride { unsafe dense.pointer[factor] = 1 }
    let (score, copy) = (AlignedBuffer<Float>(count: 8), AlignedBuffer<Float>(count: stride))
    withExtendedLifetime((table, index, dense)) {
      let side = unsafe WeightedProduct.Side(
        base: UnsafePointer(table.weights.pointer), spacing: table.spacing,
        index: UnsafePointer(index.pointer))
      unsafe WeightedProduct.forward(
        into: score.pointer, count: 1, users: side, items: side, dense: dense.pointer,
        layout: layout)
      unsafe RowGather.gather(
        Matrix(table.weights.pointer, stride: stride), index: index.pointer, rows: 1,
        columns: stride, into: MutableMatrix(copy.pointer, stride: stride))
    }
    let expected = (0..<stride).map { Float($0 % 5) - 2 }
    #expect(copy.values == expected)
    #expect(score.values[0] == expected.reduce(0) { $0 + $1 * $1 })
  }
}
