/// Rows divided by their Euclidean length, and the gradient.
///
///     y = x / max(‖x‖, 10⁻¹²)        ∂x = (∂y − y (y · ∂y)) / ‖x‖
///
/// NGCF and PinSage end their layers so. A row shorter than 10⁻¹² is divided by a constant, so its
/// gradient is `∂y / 10⁻¹²`. Squares must not overflow: rows are shorter than 10¹⁹.
package enum RowNormalization {
  /// The least length that is divided by.
  package static let epsilon: Float = 1e-12

  /// Writes normalised rows.
  ///
  /// - Parameters:
  ///   - input: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - norms: `(rows)`, overwritten: the lengths, for the backward pass.
  ///   - output: `(rows, columns)`, overwritten; may be the input.
  /// - Complexity: O(rows · columns); no allocation.
  package static func forward(
    _ input: Matrix, rows: Int, columns: Int, norms: UnsafeMutablePointer<Float>,
    into output: MutableMatrix
  ) {
    for row in 0..<rows {
      let (source, target) = unsafe (input.row(row), output.row(row))
      let norm = unsafe dot(source, source, columns: columns).squareRoot()
      unsafe norms[row] = norm
      let divisor = SIMD8(repeating: max(norm, epsilon))
      for column in stride(from: 0, to: columns, by: 8) {
        unsafe store8(load8(source + column) / divisor, target + column)
      }
    }
  }

  /// Writes the gradients by the input.
  ///
  /// - Parameters:
  ///   - outputs: `(rows, columns)`: of the forward pass.
  ///   - norms: `(rows)`: of the forward pass.
  ///   - outputGradient: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - inputGradient: `(rows, columns)`, overwritten; may be `outputGradient`.
  /// - Complexity: O(rows · columns); no allocation.
  package static func backward(
    outputs: Matrix, norms: UnsafePointer<Float>, outputGradient: Matrix, rows: Int, columns: Int,
    into inputGradient: MutableMatrix
  ) {
    for row in 0..<rows {
      let (y, dy) = unsafe (outputs.row(row), outputGradient.row(row))
      let target = unsafe inputGradient.row(row)
      let norm = unsafe norms[row]
      // NaN takes the first branch and stays.
      let along = unsafe norm < epsilon ? 0 : dot(y, dy, columns: columns)
      let (along8, divisor) = (SIMD8(repeating: along), SIMD8(repeating: max(norm, epsilon)))
      for column in stride(from: 0, to: columns, by: 8) {
        let across = unsafe load8(dy + column) - along8 * load8(y + column)
        unsafe store8(across / divisor, target + column)
      }
    }
  }

  @inline(__always)
  private static func dot(
    _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, columns: Int
  ) -> Float {
    var sums = SIMD8<Float>.zero
    for column in stride(from: 0, to: columns, by: 8) {
      sums = unsafe sums.addingProduct(load8(left + column), load8(right + column))
    }
    return horizontalSum(sums)
  }
}
