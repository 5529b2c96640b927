import Kernels
import Testing

@Suite struct DropoutTests {
  /// The mask is the comparison of each word, and what is kept is multiplied once.
  @Test(arguments: [1, 7, 8, 9, 31], [Float(0), 0.25, 0.5, 0.9])
  func matchesTheScalarFormula(columns: Int, rate: Float) {
    let rows = 6
    let width = RowLayout.wholeBlocks(columns)
    var draws = Draws(seed: 9)
    let words = AlignedBuffer((0..<rows * width).map { _ in UInt32(draws.word() >> 32) })
    let bits = AlignedBuffer<UInt8>(count: rows * width / 8)
    unsafe Dropout.fill(bits.pointer, words: words.pointer, count: words.count, rate: rate)
    let x = Rows(draws.floats(rows * columns), columns: columns)
    let y = Rows(filled: .nan, count: rows, columns: columns)
    unsafe Dropout.apply(
      x.matrix, mask: Dropout.Mask(bits: bits.pointer, rate: rate), rows: rows, columns: columns,
      into: y.mutable)
    let expected = (0..<rows * columns).map { place in
      let word = words.values[place / columns * width + place % columns]
      return Double(word) >= Double(rate) * 0x1p32 ? x.values[place] * (1 / (1 - rate)) : 0
    }
    #expect(y.values == expected && y.isPadded)
    withExtendedLifetime((words, bits, x)) {}
  }

  /// What is dropped may be anything, even not a number.
  @Test func droppedValuesAreZero() {
    let bits = AlignedBuffer<UInt8>([0b0000_0010])
    let x = Rows([.nan, 3, .infinity, -1, 0, 0, 0, 0], columns: 8)
    unsafe Dropout.apply(
      x.matrix, mask: Dropout.Mask(bits: bits.pointer, rate: 0.5), rows: 1, columns: 8,
      into: x.mutable)
    #expect(x.values == [0, 6, 0, 0, 0, 0, 0, 0])
    withExtendedLifetime(bits) {}
  }

  @Test func aRateOfOneIsRefused() async {
    await #expect(processExitsWith: .failure) {
      let (bits, words) = (AlignedBuffer<UInt8>(count: 1), AlignedBuffer<UInt32>(count: 8))
      unsafe Dropout.fill(bits.pointer, words: words.pointer, count: 8, rate: 1)
    }
  }
}
