import Foundation
import Objectives
import Testing

@Suite struct LogisticTests {
  /// The distance of `value` from `exact`, in units of the last place of `exact`.
  static func ulps(_ value: Float, _ exact: Double) -> Double {
    let spacing = max(exact.binade * 0x1p-23, Double(Float.leastNonzeroMagnitude))
    return abs(Double(value) - exact) / spacing
  }

  /// Applies `function` to eight values at a time and returns the largest error in ulps.
  static func largestError(
    of values: some Sequence<Float>, exact: (Double) -> Double,
    _ function: (SIMD8<Float>) -> SIMD8<Float>
  ) -> Double {
    var worst = 0.0
    var lanes = SIMD8<Float>.zero
    var filled = 0
    func check() {
      let results = function(lanes)
      for lane in 0..<8 { worst = max(worst, ulps(results[lane], exact(Double(lanes[lane])))) }
      filled = 0
    }
    for value in values {
      lanes[filled] = value
      filled += 1
      if filled == 8 { check() }
    }
    check()
    return worst
  }

  /// Every 5,003rd number from 0 to `last`, and the last one.
  static func sweep(to last: Float) -> [Float] {
    stride(from: 0, through: last.bitPattern, by: 5_003).map { Float(bitPattern: $0) } + [last]
  }

  /// All numbers from −87.3 to 0 were measured once: 1.26 ulp.
  @Test func exponentialKeepsItsBound() {
    let values = Self.sweep(to: 87.3).map { -$0 }
    #expect(
      Self.largestError(of: values, exact: { exp($0) }, Logistic.exponential(ofNonPositive:))
        <= 1.3)
  }

  /// Where the whole number of ln 2 changes, the remainder is largest.
  @Test func exponentialKeepsItsBoundAtTheBoundariesOfItsReduction() {
    var values: [Float] = []
    for n in 0..<126 {
      let boundary = Float(-(Double(n) + 0.5) * log(2))
      for step in -40...40 {
        values.append(Float(bitPattern: UInt32(Int(boundary.bitPattern) + step)))
      }
    }
    values.removeAll { $0 < -87.3 }
    #expect(
      Self.largestError(of: values, exact: { exp($0) }, Logistic.exponential(ofNonPositive:))
        <= 1.3)
  }

  static let tiny: [Float] = [-0.0, 0, -.leastNonzeroMagnitude, -.leastNormalMagnitude]
  static let low: [Float] = [
    Float(-87.3).nextDown, -88, -104, -1e10, -.greatestFiniteMagnitude, -.infinity,
  ]

  @Test(arguments: tiny)
  func exponentialOfAlmostZeroIsOne(x: Float) {
    #expect(Logistic.exponential(ofNonPositive: SIMD8(repeating: x)) == SIMD8(repeating: 1))
  }

  @Test(arguments: low)
  func exponentialOfWhatIsTooLowIsZero(x: Float) {
    #expect(Logistic.exponential(ofNonPositive: SIMD8(repeating: x)) == .zero)
  }

  @Test func exponentialOfTheSmallestArgumentIsNormal() {
    #expect(Logistic.exponential(ofNonPositive: SIMD8(repeating: -87.3))[3].isNormal)
  }

  @Test func exponentialOfNaNIsNaNAndLanesAreIndependent() {
    let x = SIMD8<Float>(-1, .nan, -2, -.infinity, 0, -50, -87.3, -200)
    let together = Logistic.exponential(ofNonPositive: x)
    #expect(together[1].isNaN)
    for lane in 0..<8 where lane != 1 {
      let alone = Logistic.exponential(ofNonPositive: SIMD8(repeating: x[lane]))
      #expect(together[lane].bitPattern == alone[0].bitPattern)
    }
  }

  /// All numbers from 2⁻¹²⁶ to 1 were measured once: 1.97 ulp.
  @Test func logarithmKeepsItsBound() {
    let values = Self.sweep(to: 1).filter { $0 >= .leastNormalMagnitude || $0 == 0 }
    #expect(
      Self.largestError(of: values, exact: { log1p($0) }, Logistic.logarithm(ofOnePlus:)) <= 2.0)
  }

  /// Halving a subnormal number drops its last bit.
  @Test func logarithmOfSubnormalNumbersIsOffByTheirLastBitAtMost() {
    let values = (0...8_400).map { Float(bitPattern: $0 * 997) } + [.leastNonzeroMagnitude]
    #expect(
      Self.largestError(of: values, exact: { log1p($0) }, Logistic.logarithm(ofOnePlus:)) <= 1)
  }

  @Test func logarithmAtTheEdges() {
    let result = Logistic.logarithm(ofOnePlus: SIMD8(0, -0.0, 1, .nan, 0, 0, 0, 0))
    #expect(result[0] == 0)
    #expect(result[1] == 0)
    #expect(result[2] == 0.693_147_18)
    #expect(result[3].isNaN)
  }

  /// e⁻ᵃ is off by 1.3 ulp at most and both functions of it are flatter than itself: the sigmoid
  /// adds two roundings, the logarithm its own bound. Half an ulp is one relative roundoff at most,
  /// an ulp two.
  @Test func termsMatchDouble() {
    for step in 0...8_700 {
      let a = Float(step) / 100
      let terms = Logistic.Terms(logit: SIMD8(repeating: step % 2 == 0 ? a : -a))
      let z = exp(-Double(a))
      let (minority, small) = (z / (1 + z), log1p(z))
      #expect(abs(Double(terms.minority[0]) - minority) <= 5 * roundoff * minority)
      #expect(abs(Double(terms.smallLoss[0]) - small) <= (2.6 + 2 * 2.0) * roundoff * small)
      #expect(
        abs(Double(terms.largeLoss[0]) - (Double(a) + small))
          <= roundoff * (Double(a) + small) + (2.6 + 2 * 2.0) * roundoff * small)
    }
  }

  @Test(arguments: [Float.infinity, -.infinity])
  func termsOfInfinity(y: Float) {
    let terms = Logistic.Terms(logit: SIMD8(repeating: y))
    #expect(terms.minority == .zero)
    #expect(terms.smallLoss == .zero)
    #expect(terms.largeLoss == SIMD8(repeating: .infinity))
  }

  @Test func termsOfNaN() {
    let terms = Logistic.Terms(logit: SIMD8(repeating: .nan))
    #expect(terms.minority[0].isNaN && terms.smallLoss[0].isNaN && terms.largeLoss[0].isNaN)
  }
}
