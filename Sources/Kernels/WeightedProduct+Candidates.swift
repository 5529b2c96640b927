/// How far the virtual step of the inverse gradient moves what a batch reads; see ``RowShift``.
///
/// Every place holds a row of floats, of zeros for a row that does not move.
@safe
package struct BatchShifts {
  /// `(user segments)`: the shift of each user row of the batch, in ascending order.
  package let users: UnsafePointer<UnsafePointer<Float>>
  /// `(B)`: the shift of the item row of each item reference.
  package let items: UnsafePointer<UnsafePointer<Float>>
  /// `(denseCount)`.
  package let dense: UnsafePointer<Float>

  package init(
    users: UnsafePointer<UnsafePointer<Float>>, items: UnsafePointer<UnsafePointer<Float>>,
    dense: UnsafePointer<Float>
  ) {
    unsafe self.users = unsafe users
    unsafe self.items = unsafe items
    unsafe self.dense = unsafe dense
  }
}

/// The scores of the rows of a batch at the three candidates.
@safe
package struct CandidateScores {
  /// `(B)`: at `θ − s`.
  package let direct: UnsafeMutablePointer<Float>
  /// `(B)`: at `θ`.
  package let unchanged: UnsafeMutablePointer<Float>
  /// `(B)`: at `θ + s`.
  package let inverse: UnsafeMutablePointer<Float>

  package init(
    direct: UnsafeMutablePointer<Float>, unchanged: UnsafeMutablePointer<Float>,
    inverse: UnsafeMutablePointer<Float>
  ) {
    unsafe self.direct = unsafe direct
    unsafe self.unchanged = unsafe unchanged
    unsafe self.inverse = unsafe inverse
  }
}

extension WeightedProduct {
  /// Writes the scores at the three candidates, in one pass over the rows.
  ///
  /// The bits are those of ``forward(into:count:users:items:dense:layout:)`` on copies of the rows
  /// that were shifted before.
  ///
  /// - Parameters:
  ///   - scores: Overwritten.
  ///   - users: Rows of the user table.
  ///   - items: Rows of the item table.
  ///   - dense: `(stride + 8)`.
  ///   - shifts: How far each row moves.
  ///   - segments: The batch grouped by user.
  ///   - layout: The layout of all rows.
  ///   - scratch: `(6 · (stride + 8))`, overwritten.
  /// - Complexity: O(B · F); no allocation, no communication.
  package static func forwardCandidates(
    into scores: CandidateScores, users: Side, items: Side, dense: UnsafePointer<Float>,
    shifts: BatchShifts, segments: SegmentSort, layout: RowLayout,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let (stride, biasColumn) = (layout.stride, layout.biasColumn)
    let width = denseCount(layout)
    let weights = unsafe (scratch, scratch + width, scratch + 2 &* width)
    unsafe RowShift.candidates(
      of: dense, shift: shifts.dense, count: width, direct: weights.0, unchanged: weights.1,
      inverse: weights.2)
    let bias = unsafe SIMD4(weights.0[stride], weights.1[stride], weights.2[stride], 0)
    let products = unsafe (scratch + 3 &* width, scratch + 4 &* width, scratch + 5 &* width)
    let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
    let (last, lastSegment) = (max(segments.count &- 1, 0), segments.segmentCount &- 1)
    for segment in 0..<segments.segmentCount {
      let start = unsafe Int(starts[segment])
      let user = unsafe users.base + Int(users.index[Int(order[start])]) &* users.spacing
      let userShift = unsafe shifts.users[segment]
      let ahead = unsafe positionAhead(
        of: segment, last: lastSegment, order: order, starts: starts)
      unsafe prefetch(users.base + Int(users.index[ahead]) &* users.spacing, width: stride)
      for column in Swift.stride(from: 0, to: biasColumn, by: 8) {
        let (value, step) = unsafe (load8(user + column), load8(userShift + column))
        unsafe store8(load8(weights.0 + column) * (value - step), products.0 + column)
        unsafe store8(load8(weights.1 + column) * value, products.1 + column)
        unsafe store8(load8(weights.2 + column) * (value + step), products.2 + column)
      }
      var userBias = SIMD4<Float>.zero
      if layout.hasBias {
        userBias = unsafe threeWays(user[biasColumn], userShift[biasColumn])
      }
      for index in start..<(unsafe Int(starts[segment &+ 1])) {
        let next = unsafe Int(order[min(index &+ prefetchDistance, last)])
        unsafe prefetch(items.base + Int(items.index[next]) &* items.spacing, width: stride)
        unsafe prefetch(shifts.items[next], width: stride)
        let position = unsafe Int(order[index])
        let item = unsafe items.base + Int(items.index[position]) &* items.spacing
        let shift = unsafe shifts.items[position]
        var (direct, unchanged, inverse) = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
        for column in Swift.stride(from: 0, to: biasColumn, by: 8) {
          let (value, step) = unsafe (load8(item + column), load8(shift + column))
          direct = unsafe direct.addingProduct(load8(products.0 + column), value - step)
          unchanged = unsafe unchanged.addingProduct(load8(products.1 + column), value)
          inverse = unsafe inverse.addingProduct(load8(products.2 + column), value + step)
        }
        var score =
          SIMD4(horizontalSum(direct), horizontalSum(unchanged), horizontalSum(inverse), 0) + bias
        if layout.hasBias {
          score += unsafe userBias + threeWays(item[biasColumn], shift[biasColumn])
        }
        unsafe scores.direct[position] = score[0]
        unsafe scores.unchanged[position] = score[1]
        unsafe scores.inverse[position] = score[2]
      }
    }
  }

  /// `value − step`, `value`, `value + step`.
  @inline(__always)
  private static func threeWays(_ value: Float, _ step: Float) -> SIMD4<Float> {
    SIMD4(repeating: value) + SIMD4(-step, 0, step, 0)
  }
}
