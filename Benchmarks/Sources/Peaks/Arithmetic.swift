/// Fused multiply-adds in registers: the most one core computes.
package final class Arithmetic {
  /// Keeps the results from being optimised away.
  package private(set) var checksum: Float = 0
  private let rounds: Int

  /// - Parameter rounds: Rounds of twelve independent products per call.
  package init(rounds: Int) { self.rounds = rounds }

  /// Floating-point operations per call, two for each lane of a product.
  package var operations: Int { rounds * 12 * 8 * 2 }

  /// Twelve chains: enough to cover the latency of two units, few enough for sixteen registers.
  @inline(never)
  package func run() {
    let factor = SIMD8<Float>(repeating: 0.999)
    let addend = SIMD8<Float>(repeating: 0.001 + checksum * 0)
    var (a, b, c, d) = (addend, addend + 1, addend + 2, addend + 3)
    var (e, f, g, h) = (addend + 4, addend + 5, addend + 6, addend + 7)
    var (i, j, k, l) = (addend + 8, addend + 9, addend + 10, addend + 11)
    for _ in 0..<rounds {
      a = addend.addingProduct(a, factor)
      b = addend.addingProduct(b, factor)
      c = addend.addingProduct(c, factor)
      d = addend.addingProduct(d, factor)
      e = addend.addingProduct(e, factor)
      f = addend.addingProduct(f, factor)
      g = addend.addingProduct(g, factor)
      h = addend.addingProduct(h, factor)
      i = addend.addingProduct(i, factor)
      j = addend.addingProduct(j, factor)
      k = addend.addingProduct(k, factor)
      l = addend.addingProduct(l, factor)
    }
    let total = (a + b + c + d) + (e + f + g + h) + (i + j + k + l)
    checksum = total.sum()
  }
}
