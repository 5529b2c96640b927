import Kernels

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
    let scale8 = SIMD8(repeating: scale)
    return batch.sum { logits, labels in
      let (loss, gradient) = lossAndGradient(logits, labels)
      return (loss, scale8 * gradient)
    }
  }

  /// As ``evaluate(_:scale:)`` with label 0 for every row, whatever the labels say: the common
  /// practice of taking a sampled item for a negative one.
  package static func evaluateAsNegatives(_ batch: LogitBatch, scale: Float) -> Double {
    let scale8 = SIMD8(repeating: scale)
    return batch.sum { logits, _ in
      let (loss, gradient) = lossAndGradient(logits, .zero)
      return (loss, scale8 * gradient)
    }
  }

  @inline(__always)
  private static func lossAndGradient(
    _ logits: SIMD8<Float>, _ labels: SIMD8<Float>
  ) -> (SIMD8<Float>, SIMD8<Float>) {
    let terms = Logistic.Terms(logit: logits)
    let positive = logits .>= 0
    // The label the logit leans to costs the small loss. NaN leans nowhere and stays NaN.
    let agrees = positive .^ (labels .== 0)
    let loss = terms.largeLoss.replacing(with: terms.smallLoss, where: agrees)
    let size = (SIMD8(repeating: 1) - terms.minority).replacing(
      with: terms.minority, where: agrees)
    let gradient = size.replacing(with: -size, where: labels .!= 0)
    return (loss, gradient)
  }
}
