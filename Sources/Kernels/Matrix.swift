/// Rows of floats that are only read: row `r` starts at `base + r · stride`.
///
/// Layers pass over whole blocks of 8 columns. A matrix of 50 columns has a stride of at least 56,
/// and its columns 50 ..< 56 are zero and stay so: no layer writes anything else to them.
@safe
package struct Matrix {
  package let base: UnsafePointer<Float>
  /// Floats from one row to the next.
  package let stride: Int

  package init(_ base: UnsafePointer<Float>, stride: Int) {
    unsafe self.base = unsafe base
    self.stride = stride
  }

  /// The matrix without its first `count` columns.
  package func columns(from count: Int) -> Matrix {
    unsafe Matrix(base + count, stride: stride)
  }

  /// The matrix without its first `count` rows.
  package func rows(from count: Int) -> Matrix {
    unsafe Matrix(base + count &* stride, stride: stride)
  }

  @inline(__always)
  func row(_ index: Int) -> UnsafePointer<Float> { unsafe base + index &* stride }
}

/// A ``Matrix`` that is written.
@safe
package struct MutableMatrix {
  package let base: UnsafeMutablePointer<Float>
  /// Floats from one row to the next.
  package let stride: Int

  package init(_ base: UnsafeMutablePointer<Float>, stride: Int) {
    unsafe self.base = unsafe base
    self.stride = stride
  }

  /// The matrix without its first `count` columns.
  package func columns(from count: Int) -> MutableMatrix {
    unsafe MutableMatrix(base + count, stride: stride)
  }

  /// The matrix without its first `count` rows.
  package func rows(from count: Int) -> MutableMatrix {
    unsafe MutableMatrix(base + count &* stride, stride: stride)
  }

  /// The same rows, to be read.
  package var reading: Matrix { unsafe Matrix(base, stride: stride) }

  @inline(__always)
  func row(_ index: Int) -> UnsafeMutablePointer<Float> { unsafe base + index &* stride }
}

extension RowLayout {
  /// `columns` rounded up to whole blocks of 8.
  package static func wholeBlocks(_ columns: Int) -> Int { (columns + lanes - 1) / lanes * lanes }
}
