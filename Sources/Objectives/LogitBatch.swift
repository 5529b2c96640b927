internal import CBuiltins

/// The logits of one shard's rows in one step, and where their derivatives go.
///
/// `B` rows; the memory belongs to the caller.
@safe
package struct LogitBatch {
  /// `(B)`.
  package let logits: UnsafePointer<Float>
  /// `(B)`: 1 or 0; not read by objectives of unlabeled rows.
  package let labels: UnsafePointer<Float>
  /// `(B)`, overwritten with `scale · ∂ℓ/∂y`.
  package let gradients: UnsafeMutablePointer<Float>
  package let count: Int

  package init(
    logits: UnsafePointer<Float>, labels: UnsafePointer<Float>,
    gradients: UnsafeMutablePointer<Float>, count: Int
  ) {
    unsafe self.logits = unsafe logits
    unsafe self.labels = unsafe labels
    unsafe self.gradients = unsafe gradients
    self.count = count
  }

  /// Runs `cost` over the rows, eight at a time, and returns the sum of the losses.
  ///
  /// The last rows are computed with logits of 0 beside them, whose losses are left out, so a
  /// row's numbers never depend on how many follow it. Four losses are added in `Float` before
  /// they are added in `Double`, so losses beyond 8e37 may sum to ∞.
  @inline(__always)
  func sum(_ cost: some RowCost) -> Double {
    var total = 0.0
    var row = 0
    while row &+ 8 <= count {
      let result = unsafe cost.evaluate(Self.load(logits + row), Self.load(labels + row))
      unsafe UnsafeMutableRawPointer(gradients + row).storeBytes(
        of: result.gradient, as: SIMD8<Float>.self)
      #if arch(x86_64)
        let loss = inverse_whole(result.loss)
      #else
        let loss = result.loss
      #endif
      let four = loss.lowHalf + loss.highHalf
      let two = four.lowHalf + four.highHalf
      total += Double(two.x) + Double(two.y)
      row &+= 8
    }
    if row < count {
      var (lastLogits, lastLabels) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
      for lane in 0..<count &- row {
        lastLogits[lane] = unsafe logits[row &+ lane]
        lastLabels[lane] = unsafe labels[row &+ lane]
      }
      let result = cost.evaluate(lastLogits, lastLabels)
      for lane in 0..<count &- row {
        unsafe gradients[row &+ lane] = result.gradient[lane]
        total += Double(result.loss[lane])
      }
    }
    return total
  }

  @inline(__always)
  private static func load(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
    unsafe UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
  }
}

/// What eight logits and their labels cost.
///
/// A type and not a closure: vectors stay in registers.
protocol RowCost {
  func evaluate(
    _ logits: SIMD8<Float>, _ labels: SIMD8<Float>
  ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>)
}
