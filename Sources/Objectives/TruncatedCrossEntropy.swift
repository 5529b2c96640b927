/// Binary cross-entropy without the positive rows that cost most: T-CE.
///
///     keep the ⌊(1 − ε) B⌋ rows of a batch with the smallest label · ℓ; mean of ℓ over them
///
/// Wang, Feng, He, Nie, Chua, *Denoising Implicit Feedback for Recommendation*, WSDM 2021, section
/// 4.1, as in the authors' program: the share ε is one of all rows, and a negative row counts as 0,
/// so that positive rows go first. Of rows that count the same the earlier are kept. The cut is
/// over the batch of the whole job, and found elsewhere; here rows get their sizes and lose their
/// derivatives.
package enum TruncatedCrossEntropy {
  /// Writes `label · ℓ` of every row, in a form whose order as whole numbers is that of the sizes.
  ///
  /// - Parameters:
  ///   - batch: The rows; their gradients are not touched.
  ///   - sizes: `(B)`, overwritten: the bits of a number of at least 0; of NaN, more than those of ∞.
  /// - Complexity: O(B); no allocation.
  package static func writeSizes(
    of batch: LogitBatch, into sizes: UnsafeMutablePointer<UInt32>
  ) {
    // A loss in place of a derivative, and its bits in place of itself.
    unsafe sizes.withMemoryRebound(to: Float.self, capacity: batch.count) { losses in
      let target = unsafe LogitBatch(
        logits: batch.logits, labels: batch.labels, gradients: losses, count: batch.count)
      _ = target.sum(PositiveLoss())
    }
    // The sign of NaN says nothing.
    for row in 0..<batch.count { unsafe sizes[row] &= 0x7fff_ffff }
  }

  /// Takes the derivatives from rows beyond a cut.
  ///
  /// - Parameters:
  ///   - batch: The rows; the derivatives of those that are dropped become 0.
  ///   - sizes: `(B)`: sizes of the rows.
  ///   - bound: Larger rows are dropped, smaller ones kept.
  ///   - ties: How many rows of size `bound` are still kept; less those kept here afterwards.
  /// - Complexity: O(B); no allocation.
  package static func truncate(
    _ batch: LogitBatch, sizes: UnsafePointer<UInt32>, bound: UInt32, ties: inout Int
  ) {
    for row in 0..<batch.count {
      let size = unsafe sizes[row]
      if size < bound { continue }
      if size == bound, ties > 0 {
        ties &-= 1
      } else {
        unsafe batch.gradients[row] = 0
      }
    }
  }

  private struct PositiveLoss: RowCost {
    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _ labels: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      let cost = BinaryCrossEntropy.LabeledCost(scale: .zero).evaluate(logits, labels)
      return (.zero, cost.loss.replacing(with: 0, where: labels .== 0))
    }
  }

  /// The share ε of rows that a step drops.
  ///
  ///     ε(step) = largest · step / (steps − 1), from step `steps − 1` on largest
  ///
  /// - Parameters:
  ///   - step: Steps of the run so far.
  ///   - largest: The share in the end.
  ///   - steps: Steps until then, at least 0.
  /// - Returns: A share in `0 ... largest`.
  package static func dropRate(step: Int, largest: Double, steps: Int) -> Double {
    guard steps > 1 else { return step < steps ? 0 : largest }
    return step < steps - 1 ? Double(step) * (largest / Double(steps - 1)) : largest
  }

  /// How many of `rows` rows are kept at the drop rate `rate`.
  package static func keptRows(of rows: Int, dropRate rate: Double) -> Int {
    min(rows, Int((1 - rate) * Double(rows)))
  }
}
