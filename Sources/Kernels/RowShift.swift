/// The virtual step of the inverse gradient, `θ − shift · d(g)`, on some rows.
///
/// Lin et al., WSDM 2024, section 4.2. One definition serves the candidates and the commit, so a
/// candidate that wins is exactly what the table holds afterwards.
package enum RowShift {
  /// What `d(g)` is.
  package enum Direction: String, Sendable, Codable, CaseIterable {
    /// The sign of each component, 0 for 0: the first step of a fresh Adam.
    case sign
    /// The gradient itself.
    case gradient
  }

  /// Writes `source − shift · d(gradient)`; all three are `(count)` floats, a multiple of 8, and
  /// `target` may be `source`.
  @inline(__always)
  package static func apply(
    _ direction: Direction, shift: Float, gradient: UnsafePointer<Float>,
    source: UnsafePointer<Float>, target: UnsafeMutablePointer<Float>, count: Int
  ) {
    let shift8 = SIMD8(repeating: shift)
    for column in stride(from: 0, to: count, by: 8) {
      let g = unsafe load8(gradient + column)
      switch direction {
      case .gradient:
        unsafe store8(load8(source + column) - shift8 * g, target + column)
      case .sign:
        let up = SIMD8<Float>.zero.replacing(with: shift8, where: g .> 0)
        unsafe store8(
          load8(source + column) - up.replacing(with: -shift8, where: g .< 0), target + column)
      }
    }
  }

  /// Shifts rows of a table in place.
  ///
  /// - Parameters:
  ///   - direction: `d`.
  ///   - shift: `α`, negative for the inverse step.
  ///   - index: `(count)`: rows of the table.
  ///   - count: Rows to shift.
  ///   - gradients: `(count, stride)`.
  ///   - weights: Row `r` starts at `weights + (r − offset) · stride`.
  ///   - offset: The table row at `weights`.
  ///   - stride: Floats per row.
  package static func commit(
    _ direction: Direction, shift: Float, index: UnsafePointer<UInt32>, count: Int,
    gradients: UnsafePointer<Float>, weights: UnsafeMutablePointer<Float>, offset: Int, stride: Int
  ) {
    for row in 0..<count {
      let weight = unsafe weights + (Int(index[row]) &- offset) &* stride
      unsafe apply(
        direction, shift: shift, gradient: gradients + row &* stride, source: weight,
        target: weight, count: stride)
    }
  }

  /// Rows of a table or of a compact copy, as the source of candidates.
  @safe
  package struct Source {
    /// `(count, stride)` rows, or the table.
    let base: UnsafePointer<Float>
    /// `(count)`: the row of each; `nil` when they lie in order.
    let index: UnsafePointer<UInt32>?

    package init(base: UnsafePointer<Float>, index: UnsafePointer<UInt32>?) {
      unsafe self.base = unsafe base
      unsafe self.index = unsafe index
    }
  }

  /// Gradients by row number; a row that is not among them has gradient 0.
  @safe
  package struct Gradients {
    /// `(count)`, ascending.
    let keys: UnsafePointer<UInt32>
    /// `(count, stride)`.
    let rows: UnsafePointer<Float>
    let count: Int

    package init(keys: UnsafePointer<UInt32>, rows: UnsafePointer<Float>, count: Int) {
      unsafe self.keys = unsafe keys
      unsafe self.rows = unsafe rows
      self.count = count
    }
  }

  /// Writes rows as they are and after the direct and the inverse step.
  ///
  /// - Parameters:
  ///   - direction: `d`.
  ///   - shift: `α`.
  ///   - keys: `(count)`: row numbers, ascending.
  ///   - count: Rows.
  ///   - source: Their values.
  ///   - gradients: Their gradients.
  ///   - stride: Floats per row, a multiple of 8.
  ///   - direct: `(count, stride)`: `θ − α d(g)`.
  ///   - unchanged: `(count, stride)`: `θ`.
  ///   - inverse: `(count, stride)`: `θ + α d(g)`.
  /// - Complexity: O((count + gradients.count) · stride); no allocation, no communication.
  package static func candidates(
    _ direction: Direction, shift: Float, keys: UnsafePointer<UInt32>, count: Int,
    source: Source, gradients: Gradients, stride: Int, direct: UnsafeMutablePointer<Float>,
    unchanged: UnsafeMutablePointer<Float>, inverse: UnsafeMutablePointer<Float>
  ) {
    var found = 0
    for row in 0..<count {
      let origin: Int =
        if let index = unsafe source.index { unsafe Int(index[row]) } else { row }
      let values = unsafe source.base + origin &* stride
      let offset = row &* stride
      for column in Swift.stride(from: 0, to: stride, by: 8) {
        unsafe store8(load8(values + column), unchanged + offset + column)
      }
      while found < gradients.count, unsafe gradients.keys[found] < keys[row] { found &+= 1 }
      let hasGradient = unsafe found < gradients.count && gradients.keys[found] == keys[row]
      if hasGradient {
        let gradient = unsafe gradients.rows + found &* stride
        unsafe apply(
          direction, shift: shift, gradient: gradient, source: values, target: direct + offset,
          count: stride)
        unsafe apply(
          direction, shift: -shift, gradient: gradient, source: values, target: inverse + offset,
          count: stride)
      } else {
        for column in Swift.stride(from: 0, to: stride, by: 8) {
          let value = unsafe load8(values + column)
          unsafe store8(value, direct + offset + column)
          unsafe store8(value, inverse + offset + column)
        }
      }
    }
  }

  /// Copies rows of a table.
  ///
  /// - Parameters:
  ///   - index: `(count)`: rows of the table.
  ///   - count: Rows to copy.
  ///   - weights: Row `r` starts at `weights + (r − offset) · stride`.
  ///   - offset: The table row at `weights`.
  ///   - stride: Floats per row, a multiple of 8.
  ///   - target: `(count, stride)`, overwritten.
  package static func gather(
    index: UnsafePointer<UInt32>, count: Int, weights: UnsafePointer<Float>, offset: Int,
    stride: Int, into target: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<count {
      let source = unsafe weights + (Int(index[row]) &- offset) &* stride
      let copy = unsafe target + row &* stride
      for column in Swift.stride(from: 0, to: stride, by: 8) {
        unsafe store8(load8(source + column), copy + column)
      }
    }
  }
}
