/// The logistic family on eight lanes: everything a logit and a label cost.
///
/// Own polynomials, so that the bits depend neither on a mathematical library nor on its version.
/// The error bounds are held by tests against `Double` over the whole range.
package enum Logistic {
  /// `exp(x)` for `x ≤ 0`.
  ///
  /// - Edge cases: below −87.3 the result is 0 (not subnormal); NaN gives NaN.
  /// - Error: at most 1.3 ulp.
  @inline(__always)
  package static func exponential(ofNonPositive x: SIMD8<Float>) -> SIMD8<Float> {
    // x = n·ln 2 + r with |r| ≤ ½ ln 2; ln 2 in two parts, the first exact in few bits. Adding
    // 1.5·2²³ rounds to a whole number and leaves it in the low bits, without a conversion.
    let magic = SIMD8<Float>(repeating: 12_582_912)
    let shifted = magic.addingProduct(x, SIMD8(repeating: 1.442_695_04))
    let n = shifted - magic
    var r = x.addingProduct(n, SIMD8(repeating: -0.693_359_375))
    r = r.addingProduct(n, SIMD8(repeating: 2.121_944_4e-4))
    var p = SIMD8<Float>(repeating: 1.987_569_2e-4)
    p = SIMD8(repeating: 1.398_199_95e-3).addingProduct(p, r)
    p = SIMD8(repeating: 8.333_451_9e-3).addingProduct(p, r)
    p = SIMD8(repeating: 4.166_579_6e-2).addingProduct(p, r)
    p = SIMD8(repeating: 1.666_666_5e-1).addingProduct(p, r)
    p = SIMD8(repeating: 5.000_000_1e-1).addingProduct(p, r)
    p = (SIMD8(repeating: 1) + r).addingProduct(p, r * r)
    // 2ⁿ by its exponent field; what wraps around belongs to lanes that become 0.
    let bits = unsafe unsafeBitCast(shifted, to: SIMD8<UInt32>.self)
    let power = unsafe unsafeBitCast((bits &+ 127) &<< 23, to: SIMD8<Float>.self)
    // The sign of a sum is exact; a comparison with another vector is compiled lane by lane.
    return (p * power).replacing(with: 0, where: (x + SIMD8(repeating: 87.3)) .< 0)
  }

  /// `log(1 + z)` for `z` in `[0, 1]`, as 2 artanh(z / (2 + z)).
  ///
  /// - Error: at most 2 ulp, relative to the result even for tiny `z`.
  @inline(__always)
  package static func logarithm(ofOnePlus z: SIMD8<Float>) -> SIMD8<Float> {
    let s = z / (SIMD8(repeating: 2) + z)
    let t = s * s
    var p = SIMD8<Float>(repeating: 1.0 / 15)
    p = SIMD8(repeating: 1.0 / 13).addingProduct(p, t)
    p = SIMD8(repeating: 1.0 / 11).addingProduct(p, t)
    p = SIMD8(repeating: 1.0 / 9).addingProduct(p, t)
    p = SIMD8(repeating: 1.0 / 7).addingProduct(p, t)
    p = SIMD8(repeating: 1.0 / 5).addingProduct(p, t)
    p = SIMD8(repeating: 1.0 / 3).addingProduct(p, t)
    let s2 = s + s
    return s2.addingProduct(s2 * t, p)
  }

  /// What all objectives need of a logit `y`, with `a = |y|`.
  package struct Terms {
    /// `σ(−a) = e⁻ᵃ / (1 + e⁻ᵃ)`, in `[0, ½]`: the probability of the less likely label.
    package let minority: SIMD8<Float>
    /// `softplus(−a) = log(1 + e⁻ᵃ)`: the loss of the more likely label.
    package let smallLoss: SIMD8<Float>
    /// `a + softplus(−a) = softplus(a)`: the loss of the less likely label.
    package let largeLoss: SIMD8<Float>

    /// The terms of eight logits; NaN gives NaN throughout.
    @inline(__always)
    package init(logit y: SIMD8<Float>) {
      let a = y.replacing(with: -y, where: y .< 0)
      let z = exponential(ofNonPositive: -a)
      minority = z / (SIMD8(repeating: 1) + z)
      smallLoss = logarithm(ofOnePlus: z)
      largeLoss = a + smallLoss
    }
  }
}
