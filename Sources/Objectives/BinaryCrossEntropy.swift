/// The loss of a logit against a label.
///
///     ℓ(y, 1) = softplus(−y)      ℓ(y, 0) = softplus(y)      ∂ℓ/∂y = σ(y) − label
///
/// Stable for every finite logit; ±∞ costs 0 or ∞; NaN gives NaN.
package enum BinaryCrossEntropy {
  /// Writes `scale · ∂ℓ/∂y` for every row and returns the sum of the losses, not scaled.
  ///
  /// - Complexity: O(B); no allocation.
  package static func evaluate(_ batch: LogitBatch, scale: Float) -> Double {
    batch.sum(LabeledCost(scale: SIMD8(repeating: scale)))
  }

  /// As ``evaluate(_:scale:)`` with label 0 for every row, whatever the labels say: the common
  /// practice of taking a sampled item for a negative one.
  package static func evaluateAsNegatives(_ batch: LogitBatch, scale: Float) -> Double {
    batch.sum(NegativeCost(scale: SIMD8(repeating: scale)))
  }

  /// The loss of a row by its label.
  struct LabeledCost: RowCost {
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _ labels: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      let terms = Logistic.Terms(logit: logits)
      // The label the logit leans to costs the small loss. NaN leans nowhere and stays NaN.
      let agrees = (logits .>= 0) .^ (labels .== 0)
      let loss = terms.largeLoss.replacing(with: terms.smallLoss, where: agrees)
      let size = (SIMD8(repeating: 1) - terms.minority).replacing(
        with: terms.minority, where: agrees)
      return (loss, scale * size.replacing(with: -size, where: labels .!= 0))
    }
  }

  private struct NegativeCost: RowCost {
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      LabeledCost(scale: scale).evaluate(logits, .zero)
    }
  }
}
