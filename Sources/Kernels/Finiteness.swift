/// Notices numbers that are not finite among many, in the loop that computes them.
///
/// `0 · x` is 0 for finite x and not a number otherwise, and stays so in a sum: one fused
/// multiply-add for eight numbers, and one branch at the end of the loop.
struct Finiteness {
  @inline(__always) private static var zero: SIMD8<Float> { SIMD8(repeating: 0) }
  // Sums of a row apart from the sum of all rows: a chain of additions is no longer than a row, and
  // the rows' chains overlap in the processor.
  private var row = SIMD8<Float>(repeating: 0)
  private var all = SIMD8<Float>(repeating: 0)

  /// Looks at eight numbers.
  @inline(__always)
  mutating func note(_ values: SIMD8<Float>) { row = row.addingProduct(Self.zero, values) }

  /// Looks at sixteen numbers.
  @inline(__always)
  mutating func note(_ values: SIMD8<Float>, _ others: SIMD8<Float>) {
    note(values)
    all = all.addingProduct(Self.zero, others)
  }

  /// Ends the row that the numbers belong to.
  @inline(__always)
  mutating func endRow() {
    all += row
    row = Self.zero
  }

  /// Whether all numbers of the rows that have ended were finite.
  @inline(__always)
  var isFinite: Bool { all == Self.zero }
}
