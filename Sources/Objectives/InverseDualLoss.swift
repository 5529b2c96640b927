/// The loss of a logit without a label: both labels, each weighted by how well it fits.
///
///     w⁺ = ℓ⁻² / (ℓ⁺² + ℓ⁻²)      w⁻ = 1 − w⁺      ℓ = w⁺ℓ⁺ + w⁻ℓ⁻      ∂ℓ/∂y = σ(y) − w⁺
///
/// with ℓ⁺ = softplus(−y), ℓ⁻ = softplus(y) and the weights held constant in the backward pass.
/// Lin et al., *Inverse Learning with Extremely Sparse Feedback for Recommendation*, WSDM 2024,
/// section 4.1.
///
/// Computed from the ratio r = min(ℓ⁺, ℓ⁻) / max(ℓ⁺, ℓ⁻), so that nothing overflows: with s the
/// smaller loss, ℓ = s(1 + r) / (1 + r²), and the larger weight is 1 / (1 + r²). The loss is even
/// in y and its derivative odd, to the last bit.
package enum InverseDualLoss {
  /// Writes `scale · ∂ℓ/∂y` for every row and returns the sum of the losses, not scaled.
  ///
  /// Labels are not used. NaN gives NaN.
  ///
  /// - Complexity: O(B); no allocation.
  package static func evaluate(_ batch: LogitBatch, scale: Float) -> Double {
    batch.sum(Cost(scale: SIMD8(repeating: scale)))
  }

  private struct Cost: RowCost {
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      let terms = Logistic.Terms(logit: logits)
      let (ratio, smallWeight) = weights(terms)
      let one = SIMD8<Float>(repeating: 1)
      let loss = terms.smallLoss * (one + ratio) / one.addingProduct(ratio, ratio)
      // σ(y) − w⁺ for y ≥ 0 is w⁻ − σ(−y); without the two complements nothing cancels.
      let size = smallWeight - terms.minority
      return (loss, scale * size.replacing(with: -size, where: logits .< 0))
    }
  }

  /// Writes `w⁺`, the soft label, of `count` logits; in `[0, 1]`, ½ at 0.
  ///
  /// - Complexity: O(count); no allocation.
  package static func softLabels(
    of logits: UnsafePointer<Float>, count: Int, into labels: UnsafeMutablePointer<Float>
  ) {
    let batch = unsafe LogitBatch(logits: logits, labels: logits, gradients: labels, count: count)
    _ = batch.sum(SoftLabel())
  }

  /// The soft label in place of a derivative, at no loss.
  private struct SoftLabel: RowCost {
    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      let (_, smallWeight) = weights(Logistic.Terms(logit: logits))
      let large = SIMD8(repeating: 1) - smallWeight
      return (.zero, large.replacing(with: smallWeight, where: logits .< 0))
    }
  }

  /// The ratio of the losses and the smaller of the two weights.
  @inline(__always)
  private static func weights(_ terms: Logistic.Terms) -> (SIMD8<Float>, SIMD8<Float>) {
    let ratio = terms.smallLoss / terms.largeLoss
    let square = ratio * ratio
    return (ratio, square / (SIMD8(repeating: 1) + square))
  }
}
