/// Binary cross-entropy in which rows count the less the worse they fit: R-CE.
///
///     weight = σ(y)^β for label 1, (1 − σ(y))^β for label 0        ℓ = weight · BCE
///
/// with the weights constant in the backward pass. Wang, Feng, He, Nie, Chua, *Denoising Implicit
/// Feedback for Recommendation*, WSDM 2021, section 4.2. The weight is computed as `exp(−β · BCE)`,
/// which is the same and loses nothing where σ(y) is near 0 or 1.
package enum ReweightedCrossEntropy {
  /// Writes `scale · ∂ℓ/∂y` for every row and returns the sum of the losses, not scaled.
  ///
  /// - Parameters:
  ///   - batch: The rows.
  ///   - power: β, at least 0.
  ///   - scale: Of the derivatives.
  /// - Returns: The sum; NaN for NaN, and for an infinite loss.
  /// - Complexity: O(B); no allocation.
  package static func evaluate(_ batch: LogitBatch, power: Float, scale: Float) -> Double {
    batch.sum(LabeledCost(power: SIMD8(repeating: power), scale: SIMD8(repeating: scale)))
  }

  /// As ``evaluate(_:power:scale:)`` with label 0 for every row.
  package static func evaluateAsNegatives(
    _ batch: LogitBatch, power: Float, scale: Float
  ) -> Double {
    batch.sum(NegativeCost(power: SIMD8(repeating: power), scale: SIMD8(repeating: scale)))
  }

  private struct LabeledCost: RowCost {
    let power: SIMD8<Float>
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _ labels: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      let plain = BinaryCrossEntropy.LabeledCost(scale: SIMD8(repeating: 1))
        .evaluate(logits, labels)
      let weight = Logistic.exponential(ofNonPositive: -power * plain.loss)
      return (weight * plain.loss, scale * (weight * plain.gradient))
    }
  }

  private struct NegativeCost: RowCost {
    let power: SIMD8<Float>
    let scale: SIMD8<Float>

    @inline(__always)
    func evaluate(
      _ logits: SIMD8<Float>, _: SIMD8<Float>
    ) -> (loss: SIMD8<Float>, gradient: SIMD8<Float>) {
      LabeledCost(power: power, scale: scale).evaluate(logits, .zero)
    }
  }
}
