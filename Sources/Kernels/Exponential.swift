/// `e^x` of each lane.
///
/// `x = n ln 2 + r` with |r| ≤ ½ ln 2; `e^r` is its Taylor polynomial of degree 7, whose error is
/// below 0.35⁸/8! < 2⁻²⁷, then n goes into the exponent. Below −87.3, where results stop being normal
/// numbers, it is that of −87.3; at most 88. NaN stays NaN.
@inline(__always)
func exponential(_ values: SIMD8<Float>) -> SIMD8<Float> {
  let low = SIMD8<Float>(repeating: -87.3)
  let high = SIMD8<Float>(repeating: 88)
  let x = values.replacing(with: low, where: values .< low).replacing(
    with: high, where: values .> high)
  // Adding 1.5 · 2²³ rounds to a whole number, whose bits are then the lowest ones.
  let shift = SIMD8<Float>(repeating: 0x1.8p23)
  let shifted = shift.addingProduct(x, SIMD8(repeating: 1.442_695_04))
  let n = shifted - shift
  // ln 2 in two parts, the first with so few bits that its product is exact.
  let r = x.addingProduct(n, SIMD8(repeating: -0.693_359_375)).addingProduct(
    n, SIMD8(repeating: 2.121_944_4e-4))
  var sum = SIMD8<Float>(repeating: 1 / 5040)
  sum = SIMD8<Float>(repeating: 1 / 720).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 1 / 120).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 1 / 24).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 1 / 6).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 0.5).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 1).addingProduct(sum, r)
  sum = SIMD8<Float>(repeating: 1).addingProduct(sum, r)
  let power = unsafe unsafeBitCast(shifted, to: SIMD8<UInt32>.self) &<< 23
  let bits = unsafe unsafeBitCast(sum, to: SIMD8<UInt32>.self) &+ power
  return unsafe unsafeBitCast(bits, to: SIMD8<Float>.self)
}
