/// Inverted dropout: some values become 0, the others grow so that the mean stays.
///
///     y = x / (1 − rate) where the mask keeps x, else 0
///
/// Srivastava et al., JMLR 2014. The caller draws the words of the mask by key (row, place, draw),
/// so that it does not depend on ranks, and hands the same mask to both passes. A mask has one bit
/// per value: bit `j` of byte `k` of a row keeps column `8k + j`.
package enum Dropout {
  /// A mask and its rate.
  @safe
  package struct Mask {
    /// `(rows, wholeBlocks(columns) / 8)`.
    package let bits: UnsafePointer<UInt8>
    /// The share that is dropped, in `[0, 1)`.
    package let rate: Float

    package init(bits: UnsafePointer<UInt8>, rate: Float) {
      precondition(rate >= 0 && rate < 1, "a dropout rate is at least 0 and below 1")
      unsafe self.bits = unsafe bits
      self.rate = rate
    }

    /// What kept values are multiplied by.
    @inline(__always)
    var scale: SIMD8<Float> { SIMD8(repeating: 1 / (1 - rate)) }

    /// The 8 values of a block: scaled where they are kept, else 0.
    @inline(__always)
    func apply(_ values: SIMD8<Float>, byte: Int, scale: SIMD8<Float>) -> SIMD8<Float> {
      unsafe select(bits[byte], values * scale, .zero)
    }
  }

  /// Makes a mask of uniform random words.
  ///
  /// - Parameters:
  ///   - bits: `(count / 8)`, overwritten.
  ///   - words: `(count)`: a value is dropped if its word is below `rate · 2³²`.
  ///   - count: A multiple of 8.
  ///   - rate: In `[0, 1)`.
  /// - Complexity: O(count); no allocation.
  package static func fill(
    _ bits: UnsafeMutablePointer<UInt8>, words: UnsafePointer<UInt32>, count: Int, rate: Float
  ) {
    precondition(rate >= 0 && rate < 1, "a dropout rate is at least 0 and below 1")
    precondition(count % 8 == 0, "a mask has whole bytes")
    let threshold = UInt32(Double(rate) * 0x1p32)
    for byte in 0..<count / 8 {
      unsafe bits[byte] = Kernels.bits(of: words + 8 &* byte, atLeast: threshold)
    }
  }

  /// Writes what the mask keeps; the backward pass is the same with gradients.
  ///
  /// - Parameters:
  ///   - values: `(rows, columns)`.
  ///   - mask: `(rows, columns)`.
  ///   - rows: `B`.
  ///   - columns: Padded to whole blocks.
  ///   - target: `(rows, columns)`, overwritten; may be `values`.
  /// - Complexity: O(rows · columns); no allocation.
  package static func apply(
    _ values: Matrix, mask: Mask, rows: Int, columns: Int, into target: MutableMatrix
  ) {
    let (bytes, scale) = (RowLayout.wholeBlocks(columns) / 8, mask.scale)
    for row in 0..<rows {
      let (source, copy) = unsafe (values.row(row), target.row(row))
      for block in 0..<bytes {
        let value = unsafe mask.apply(
          load8(source + 8 &* block), byte: row &* bytes &+ block, scale: scale)
        unsafe store8(value, copy + 8 &* block)
      }
    }
  }
}
