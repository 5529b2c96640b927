/// The virtual step of the inverse gradient, `θ − α d(g)`, on some rows.
///
/// Lin et al., WSDM 2024, section 4.2. A gradient is turned into its *shift* `s = α d(g)` once; the
/// candidates are `θ − s`, `θ` and `θ + s`, and the one that wins is what is committed.
package enum RowShift {
  /// What `d(g)` is.
  package enum Direction: String, Sendable, Codable, CaseIterable {
    /// The sign of each component, 0 for 0: the first step of a fresh Adam.
    case sign
    /// The gradient itself.
    case gradient
  }

  /// Turns gradients into shifts, in place.
  ///
  /// - Parameters:
  ///   - direction: `d`.
  ///   - rate: `α`.
  ///   - values: `(count)`: `g`, then `α d(g)`.
  ///   - count: A multiple of 8.
  /// - Returns: Whether all shifts are finite. That of a gradient which is not is no number.
  /// - Complexity: O(count); no allocation.
  @discardableResult
  package static func turn(
    _ direction: Direction, rate: Float, values: UnsafeMutablePointer<Float>, count: Int
  ) -> Bool {
    let rate8 = SIMD8(repeating: rate)
    var finiteness = Finiteness()
    for column in stride(from: 0, to: count, by: 8) {
      let g = unsafe load8(values + column)
      switch direction {
      case .gradient:
        let shift = rate8 * g
        unsafe store8(shift, values + column)
        finiteness.note(shift)
      case .sign:
        let up = SIMD8<Float>.zero.replacing(with: rate8, where: g .> 0)
        // What is not finite stays so; to the others this adds 0.
        let shift = up.replacing(with: -rate8, where: g .< 0).addingProduct(SIMD8<Float>.zero, g)
        unsafe store8(shift, values + column)
        finiteness.note(shift)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }

  /// Shifts rows of a table: `θ ← θ − factor · s`.
  ///
  /// - Parameters:
  ///   - factor: 1 for the direct step, −1 for the inverse.
  ///   - index: `(count)`: rows of the table.
  ///   - count: Rows to shift.
  ///   - shifts: `(count, stride)`.
  ///   - weights: Row `r` starts at `weights + (r − offset) · spacing`.
  ///   - offset: The table row at `weights`.
  ///   - spacing: Floats from one row of the table to the next.
  ///   - stride: Floats per row, a multiple of 8.
  /// - Returns: Whether all shifted weights are finite.
  @discardableResult
  package static func commit(
    factor: Float, index: UnsafePointer<UInt32>, count: Int, shifts: UnsafePointer<Float>,
    weights: UnsafeMutablePointer<Float>, offset: Int, spacing: Int, stride: Int
  ) -> Bool {
    let ahead = prefetchRows(bytes: 4 &* stride)
    let factor8 = SIMD8(repeating: factor)
    var finiteness = Finiteness()
    for row in 0..<count {
      let next = unsafe Int(index[min(row &+ ahead, count &- 1)])
      unsafe prefetchAll(weights + (next &- offset) &* spacing, width: stride)
      let values = unsafe weights + (Int(index[row]) &- offset) &* spacing
      let shift = unsafe shifts + row &* stride
      for column in Swift.stride(from: 0, to: stride, by: 8) {
        let new = unsafe load8(values + column) - factor8 * load8(shift + column)
        unsafe store8(new, values + column)
        finiteness.note(new)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }

  /// Shifts `count` floats, a multiple of 8, in place.
  @inline(__always)
  package static func shift(
    _ values: UnsafeMutablePointer<Float>, by shift: UnsafePointer<Float>, factor: Float, count: Int
  ) {
    let factor8 = SIMD8(repeating: factor)
    for column in stride(from: 0, to: count, by: 8) {
      unsafe store8(load8(values + column) - factor8 * load8(shift + column), values + column)
    }
  }

  /// Writes `row − s`, `row` and `row + s`, each `count` floats, a multiple of 8.
  @inline(__always)
  package static func candidates(
    of row: UnsafePointer<Float>, shift: UnsafePointer<Float>, count: Int,
    direct: UnsafeMutablePointer<Float>, unchanged: UnsafeMutablePointer<Float>,
    inverse: UnsafeMutablePointer<Float>
  ) {
    for column in stride(from: 0, to: count, by: 8) {
      let (value, step) = unsafe (load8(row + column), load8(shift + column))
      unsafe store8(value - step, direct + column)
      unsafe store8(value, unchanged + column)
      unsafe store8(value + step, inverse + column)
    }
  }

  /// Finds the rows that some keys stand for.
  ///
  /// - Parameters:
  ///   - keys: `(count)`, ascending.
  ///   - count: Keys to look up.
  ///   - known: `(knownCount)`, ascending.
  ///   - knownCount: Rows there are.
  ///   - rows: `(knownCount, stride)`.
  ///   - stride: Floats per row.
  ///   - places: `(count)`: overwritten where a key is known.
  ///   - start: The first key to look up.
  /// - Returns: The first key beyond all known ones.
  /// - Complexity: O(keys looked up + knownCount).
  @discardableResult
  package static func find(
    keys: UnsafePointer<UInt32>, count: Int, in known: UnsafePointer<UInt32>, knownCount: Int,
    rows: UnsafePointer<Float>, stride: Int, places: UnsafeMutablePointer<UnsafePointer<Float>>,
    from start: Int = 0
  ) -> Int {
    var found = 0
    for index in start..<count {
      let key = unsafe keys[index]
      while found < knownCount, unsafe known[found] < key { found &+= 1 }
      guard found < knownCount else { return index }
      if unsafe known[found] == key { unsafe places[index] = unsafe rows + found &* stride }
    }
    return count
  }

  /// Copies rows of a table.
  ///
  /// - Parameters:
  ///   - index: `(count)`: rows of the table.
  ///   - count: Rows to copy.
  ///   - weights: Row `r` starts at `weights + (r − offset) · spacing`.
  ///   - offset: The table row at `weights`.
  ///   - spacing: Floats from one row of the table to the next.
  ///   - stride: Floats per row, a multiple of 8.
  ///   - target: `(count, stride)`, overwritten.
  package static func gather(
    index: UnsafePointer<UInt32>, count: Int, weights: UnsafePointer<Float>, offset: Int,
    spacing: Int, stride: Int, into target: UnsafeMutablePointer<Float>
  ) {
    let ahead = prefetchRows(bytes: 4 &* stride)
    for row in 0..<count {
      let next = unsafe Int(index[min(row &+ ahead, count &- 1)])
      unsafe prefetchAll(weights + (next &- offset) &* spacing, width: stride)
      let source = unsafe weights + (Int(index[row]) &- offset) &* spacing
      let copy = unsafe target + row &* stride
      for column in Swift.stride(from: 0, to: stride, by: 8) {
        unsafe store8(load8(source + column), copy + column)
      }
    }
  }
}
