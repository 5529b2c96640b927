/// Products and sums of matrices, element by element.
///
/// All matrices are `(rows, columns)`, padded to whole blocks of 8 columns. Each function is
/// O(rows · columns) and allocates nothing.
package enum Elementwise {
  /// `target ← left ⊙ right`; the target may be one of them.
  package static func multiply(
    _ left: Matrix, _ right: Matrix, into target: MutableMatrix, rows: Int, columns: Int
  ) {
    for row in 0..<rows {
      let (x, y, z) = unsafe (left.row(row), right.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(x + column) * load8(y + column), z + column)
      }
    }
  }

  /// `target ← left + right`; the target may be one of them.
  package static func sum(
    _ left: Matrix, _ right: Matrix, into target: MutableMatrix, rows: Int, columns: Int
  ) {
    for row in 0..<rows {
      let (x, y, z) = unsafe (left.row(row), right.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(x + column) + load8(y + column), z + column)
      }
    }
  }

  /// `target ← target + left ⊙ right`, fused.
  package static func addProduct(
    _ left: Matrix, _ right: Matrix, to target: MutableMatrix, rows: Int, columns: Int
  ) {
    for row in 0..<rows {
      let (x, y, z) = unsafe (left.row(row), right.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        let value = unsafe load8(z + column).addingProduct(load8(x + column), load8(y + column))
        unsafe store8(value, z + column)
      }
    }
  }

  /// `target ← target + factor · source`, fused; with a factor of 1 a plain sum.
  package static func add(
    _ source: Matrix, factor: Float = 1, to target: MutableMatrix, rows: Int, columns: Int
  ) {
    let factor8 = SIMD8(repeating: factor)
    for row in 0..<rows {
      let (x, z) = unsafe (source.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(z + column).addingProduct(factor8, load8(x + column)), z + column)
      }
    }
  }

  /// `target ← factor · source`; the target may be the source.
  package static func scale(
    _ source: Matrix, by factor: Float, into target: MutableMatrix, rows: Int, columns: Int
  ) {
    let factor8 = SIMD8(repeating: factor)
    for row in 0..<rows {
      let (x, z) = unsafe (source.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(factor8 * load8(x + column), z + column)
      }
    }
  }

  /// `target[r] ← factors[r] · source[r]`; the target may be the source.
  package static func scaleRows(
    _ source: Matrix, by factors: UnsafePointer<Float>, into target: MutableMatrix, rows: Int,
    columns: Int
  ) {
    for row in 0..<rows {
      let factor8 = unsafe SIMD8(repeating: factors[row])
      let (x, z) = unsafe (source.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(factor8 * load8(x + column), z + column)
      }
    }
  }

  /// `target[r] ← target[r] + factors[r] · source[r]`, fused.
  package static func addRows(
    _ source: Matrix, by factors: UnsafePointer<Float>, to target: MutableMatrix, rows: Int,
    columns: Int
  ) {
    for row in 0..<rows {
      let factor8 = unsafe SIMD8(repeating: factors[row])
      let (x, z) = unsafe (source.row(row), target.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(z + column).addingProduct(factor8, load8(x + column)), z + column)
      }
    }
  }
}
