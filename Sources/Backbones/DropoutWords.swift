import Kernels
import Randomness

/// Masks of dropout for rows that have a number in the whole job: the same on every rank, another in
/// every step.
@safe
final class DropoutWords {
  private let rate: Float
  private let columns: Int
  private let words: AlignedBuffer<UInt32>

  /// - Parameters:
  ///   - rate: The share that is dropped, in `[0, 1)`.
  ///   - columns: Of the widest row, in whole blocks.
  init(rate: Float, columns: Int) {
    self.rate = rate
    self.columns = columns
    words = AlignedBuffer(count: columns)
  }

  /// Draws the mask of some rows.
  ///
  /// - Parameters:
  ///   - bits: `(rows, columns / 8)`, overwritten.
  ///   - rows: Rows.
  ///   - width: Columns of these rows, in whole blocks; `nil` for those of the widest.
  ///   - firstRow: The number of the first row.
  ///   - place: Distinguishes several masks of a row in a step.
  ///   - key: The step.
  /// - Returns: The mask.
  /// - Complexity: O(rows · columns), about 1 ns a value; no allocation.
  func draw(
    into bits: UnsafeMutablePointer<UInt8>, rows: Int, width: Int? = nil, firstRow: Int,
    place: Int, key: DropoutKey
  ) -> Dropout.Mask {
    let width = width ?? columns
    let random = Philox(seed: key.seed, purpose: .dropout)
    for row in 0..<rows {
      let first = place * columns / 4
      unsafe random.fill(
        words.pointer, draws: first..<first + width / 4, epoch: key.step, row: firstRow + row)
      unsafe Dropout.fill(
        bits + row * width / 8, words: words.pointer, count: width, rate: rate)
    }
    return unsafe Dropout.Mask(bits: bits, rate: rate)
  }

  /// A mask that was drawn before.
  func mask(_ bits: UnsafePointer<UInt8>) -> Dropout.Mask {
    unsafe Dropout.Mask(bits: bits, rate: rate)
  }
}
