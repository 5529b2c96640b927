import Kernels

/// A matrix of tests: rows padded with zeros to whole blocks of 8, in memory of its own.
struct Rows {
  let columns: Int
  let buffer: AlignedBuffer<Float>
  let count: Int
  /// Floats before the first row, to shift its alignment.
  let offset: Int

  /// `values` is `(count, columns)`, without padding.
  init(_ values: [Float], columns: Int, offset: Int = 0) {
    self.init(filled: 0, count: columns == 0 ? 0 : values.count / columns, columns: columns, offset)
    for (index, value) in values.enumerated() {
      unsafe buffer.pointer[offset + index / columns * stride + index % columns] = value
    }
  }

  /// `count` rows whose values, not whose padding, are `value`.
  init(filled value: Float, count: Int, columns: Int, _ offset: Int = 0) {
    self.columns = columns
    self.count = count
    self.offset = offset
    buffer = AlignedBuffer(count: offset + count * RowLayout.wholeBlocks(columns))
    for row in 0..<count {
      for column in 0..<columns { unsafe buffer.pointer[offset + row * stride + column] = value }
    }
  }

  var stride: Int { RowLayout.wholeBlocks(columns) }
  var pointer: UnsafeMutablePointer<Float> { unsafe buffer.pointer + offset }
  var matrix: Matrix { unsafe Matrix(pointer, stride: stride) }
  var mutable: MutableMatrix { unsafe MutableMatrix(pointer, stride: stride) }

  /// `(count, columns)`, without padding.
  var values: [Float] {
    withExtendedLifetime(buffer) {
      (0..<count * columns).map { index in
        unsafe pointer[index / columns * stride + index % columns]
      }
    }
  }

  var doubles: [Double] { values.map { Double($0) } }

  /// Whether padding is zero, as it must stay.
  var isPadded: Bool {
    withExtendedLifetime(buffer) {
      (0..<count).allSatisfy { row in
        (columns..<stride).allSatisfy { unsafe pointer[row * stride + $0] == 0 }
      }
    }
  }

  /// A copy that can be changed on its own.
  var copy: Rows { Rows(values, columns: columns, offset: offset) }
}

/// The central difference of `objective` by one of its numbers.
///
/// With steps of 2⁻¹² its error is below 2⁻²⁴/6 of the third derivative, plus 2⁻⁴¹ of the
/// objective's size for the rounding of `Double`.
func centralDifference(
  _ values: [Double], _ index: Int, _ objective: ([Double]) -> Double
) -> Double {
  var (up, down) = (values, values)
  up[index] += 0x1p-12
  down[index] -= 0x1p-12
  return (objective(up) - objective(down)) * 0x1p11
}

/// `Σ delta · output`.
func objective(_ output: [Double], _ delta: [Double]) -> Double {
  zip(output, delta).reduce(0) { $0 + $1.0 * $1.1 }
}
