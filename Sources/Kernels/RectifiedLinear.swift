/// The rectifier, `max(x, 0)`, and its gradient, in place.
///
/// Adds the bias of the layer before it in the same pass. NaN stays NaN, so that a run that went
/// wrong is noticed.
package enum RectifiedLinear {
  /// `values ← max(values + bias, 0)`.
  ///
  /// - Parameters:
  ///   - values: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - bias: `(columns)`, padded to whole blocks; nil adds nothing.
  /// - Complexity: O(rows · columns); no allocation.
  package static func forward(
    _ values: MutableMatrix, rows: Int, columns: Int, bias: UnsafePointer<Float>? = nil
  ) {
    unsafe Rectifier.forward(values, rows: rows, columns: columns, bias: bias) {
      $0.replacing(with: 0, where: $0 .< 0)
    }
  }

  /// `gradients ← gradients where the output is positive, else 0`.
  ///
  /// - Parameters:
  ///   - outputs: `(rows, columns)`: of the forward pass.
  ///   - gradients: `(rows, columns)`: by the outputs, then by the inputs.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  /// - Complexity: O(rows · columns); no allocation.
  package static func backward(
    outputs: Matrix, gradients: MutableMatrix, rows: Int, columns: Int
  ) {
    Rectifier.backward(outputs: outputs, gradients: gradients, rows: rows, columns: columns) {
      $0.replacing(with: 0, where: $1 .<= 0)
    }
  }
}

/// The leaky rectifier, `x` where it is positive and `slope · x` elsewhere, and its gradient, in
/// place; otherwise like ``RectifiedLinear``.
package enum LeakyRectifiedLinear {
  /// The slope of Wang et al., *Neural Graph Collaborative Filtering*, SIGIR 2019.
  package static let slope: Float = 0.2

  /// `values ← leaky(values + bias)`.
  ///
  /// - Parameters:
  ///   - values: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - bias: `(columns)`, padded to whole blocks; nil adds nothing.
  ///   - slope: Positive.
  /// - Complexity: O(rows · columns); no allocation.
  package static func forward(
    _ values: MutableMatrix, rows: Int, columns: Int, bias: UnsafePointer<Float>? = nil,
    slope: Float = slope
  ) {
    unsafe Rectifier.forward(values, rows: rows, columns: columns, bias: bias) {
      $0.replacing(with: $0 * slope, where: $0 .< 0)
    }
  }

  /// `gradients ← gradients · (1 where the output is positive, else slope)`.
  ///
  /// The output tells the sign of the input because the slope is positive.
  ///
  /// - Parameters:
  ///   - outputs: `(rows, columns)`: of the forward pass.
  ///   - gradients: `(rows, columns)`: by the outputs, then by the inputs.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - slope: That of the forward pass.
  /// - Complexity: O(rows · columns); no allocation.
  package static func backward(
    outputs: Matrix, gradients: MutableMatrix, rows: Int, columns: Int, slope: Float = slope
  ) {
    Rectifier.backward(outputs: outputs, gradients: gradients, rows: rows, columns: columns) {
      $0.replacing(with: $0 * slope, where: $1 .<= 0)
    }
  }
}

/// What the rectifiers share; the closures are inlined.
private enum Rectifier {
  @inline(__always)
  static func forward(
    _ values: MutableMatrix, rows: Int, columns: Int, bias: UnsafePointer<Float>?,
    _ activation: (SIMD8<Float>) -> SIMD8<Float>
  ) {
    for row in 0..<rows {
      let target = unsafe values.row(row)
      for column in stride(from: 0, to: columns, by: 8) {
        var value = unsafe load8(target + column)
        if let bias = unsafe bias { value += unsafe load8(bias + column) }
        unsafe store8(activation(value), target + column)
      }
    }
  }

  @inline(__always)
  static func backward(
    outputs: Matrix, gradients: MutableMatrix, rows: Int, columns: Int,
    _ derivative: (SIMD8<Float>, SIMD8<Float>) -> SIMD8<Float>
  ) {
    for row in 0..<rows {
      let (target, output) = unsafe (gradients.row(row), outputs.row(row))
      for column in stride(from: 0, to: columns, by: 8) {
        let value = unsafe derivative(load8(target + column), load8(output + column))
        unsafe store8(value, target + column)
      }
    }
  }
}
