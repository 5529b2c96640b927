import Kernels
import Testing

@Suite struct ElementwiseTests {
  /// Every function against one scalar operation, to the last bit.
  @Test(arguments: [0, 1, 7, 8, 9, 31])
  func matchesScalars(columns: Int) {
    var draws = Draws(seed: 5)
    let rows = 3
    let x = Rows(draws.floats(rows * columns), columns: columns)
    let y = Rows(draws.floats(rows * columns), columns: columns)
    let factors = AlignedBuffer(draws.floats(rows))
    func check(
      _ operation: (MutableMatrix) -> Void, _ expected: (Float, Float, Float, Int) -> Float
    ) {
      let z = y.copy
      operation(z.mutable)
      let values = (0..<rows * columns).map {
        expected(x.values[$0], y.values[$0], y.values[$0], $0 / columns)
      }
      #expect(z.values.bits == values.bits)
      #expect(z.isPadded)
    }
    check({ Elementwise.multiply(x.matrix, y.matrix, into: $0, rows: rows, columns: columns) }) {
      x, y, _, _ in x * y
    }
    check({ Elementwise.sum(x.matrix, y.matrix, into: $0, rows: rows, columns: columns) }) {
      x, y, _, _ in x + y
    }
    check({ Elementwise.addProduct(x.matrix, y.matrix, to: $0, rows: rows, columns: columns) }) {
      x, y, z, _ in z.addingProduct(x, y)
    }
    check({ Elementwise.add(x.matrix, factor: 0.3, to: $0, rows: rows, columns: columns) }) {
      x, _, z, _ in z.addingProduct(0.3, x)
    }
    check({ Elementwise.add(x.matrix, to: $0, rows: rows, columns: columns) }) {
      x, _, z, _ in z + x
    }
    check({ Elementwise.scale(x.matrix, by: 0.3, into: $0, rows: rows, columns: columns) }) {
      x, _, _, _ in 0.3 * x
    }
    check({
      unsafe Elementwise.scaleRows(
        x.matrix, by: factors.pointer, into: $0, rows: rows, columns: columns)
    }) { x, _, _, row in factors.values[row] * x }
    withExtendedLifetime((x, y, factors)) {}
  }
}
