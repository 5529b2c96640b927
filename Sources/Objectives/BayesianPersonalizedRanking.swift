/// The loss of a pair of items of one user, of which the first is to be ranked higher: BPR.
///
///     ℓ = softplus(−(y_ui − y_uj))        ∂ℓ/∂y_ui = −σ(y_uj − y_ui) = −∂ℓ/∂y_uj
///
/// Rendle, Freudenthaler, Gantner, Schmidt-Thieme, *BPR: Bayesian Personalized Ranking from
/// Implicit Feedback*, UAI 2009. Each unlabeled row of a batch is a pair with its partner, the
/// positive row for which it was drawn.
package enum BayesianPersonalizedRanking {
  /// Writes the derivatives of all rows of a shard, times `scale`, and returns the sum of the
  /// pairs' losses, not scaled.
  ///
  /// A positive row's derivative is the sum over its pairs, in their order.
  ///
  /// - Parameters:
  ///   - positives: The labeled rows.
  ///   - unlabeled: The unlabeled rows.
  ///   - partners: `(unlabeled.count)`: which of `positives` each unlabeled row belongs to.
  ///   - scale: Of the derivatives.
  /// - Returns: The sum; 0 without pairs.
  /// - Complexity: O(rows); no allocation.
  package static func evaluate(
    _ positives: LogitBatch, _ unlabeled: LogitBatch, partners: UnsafePointer<UInt32>, scale: Float
  ) -> Double {
    for pair in 0..<unlabeled.count {
      let margin = unsafe positives.logits[Int(partners[pair])] - unlabeled.logits[pair]
      unsafe unlabeled.gradients[pair] = margin
    }
    // In place: a derivative is written after its margin was read.
    let margins = unsafe LogitBatch(
      logits: UnsafePointer(unlabeled.gradients), labels: unlabeled.labels,
      gradients: unlabeled.gradients, count: unlabeled.count)
    let sum = margins.sum(PositiveCost(scale: SIMD8(repeating: scale)))
    unsafe positives.gradients.update(repeating: 0, count: positives.count)
    for pair in 0..<unlabeled.count {
      let slope = unsafe unlabeled.gradients[pair]
      unsafe positives.gradients[Int(partners[pair])] += slope
      unsafe unlabeled.gradients[pair] = -slope
    }
    return sum
  }

  private struct PositiveCost: RowCost {
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      BinaryCrossEntropy.LabeledCost(scale: scale).evaluate(logits, SIMD8(repeating: 1))
    }
  }
}
