import Kernels

/// Copies of the rows of a block that do not lie side by side, and room for what is computed of them.
@safe
final class PinSageRows {
  /// `(rows of a block, F)` each: copies, and two gradients.
  let values: MutableMatrix
  let first: MutableMatrix
  let second: MutableMatrix
  /// `(rows of a block, 2F)` each: copies, and their gradient.
  let wideValues: MutableMatrix
  let wideGradient: MutableMatrix
  private let memory: AlignedBuffer<Float>
  private let norms: AlignedBuffer<Float>
  private let index: AlignedBuffer<UInt32>
  private let stride: Int
  private var count = 0

  /// - Parameter stride: `F`.
  init(stride: Int) {
    self.stride = stride
    let size = RowBlock.size * stride
    memory = AlignedBuffer(count: 7 * size)
    norms = AlignedBuffer(count: RowBlock.size)
    index = AlignedBuffer(count: RowBlock.size)
    let start = unsafe memory.pointer
    values = unsafe MutableMatrix(start, stride: stride)
    first = unsafe MutableMatrix(start + size, stride: stride)
    second = unsafe MutableMatrix(start + 2 * size, stride: stride)
    wideValues = unsafe MutableMatrix(start + 3 * size, stride: 2 * stride)
    wideGradient = unsafe MutableMatrix(start + 5 * size, stride: 2 * stride)
  }

  /// Says which rows are meant from now on: at most those of a block.
  func choose(_ keys: UnsafePointer<UInt32>, _ count: Int, _ firstRow: Int) {
    self.count = count
    for row in 0..<count { unsafe index.pointer[row] = keys[row] - UInt32(firstRow) }
  }

  /// Copies the rows of a matrix of `width` times `F` columns.
  func gather(
    _ matrix: MutableMatrix, width: Int = 1, into target: MutableMatrix
  ) -> Matrix {
    unsafe RowGather.gather(
      matrix.reading, index: index.pointer, rows: count, columns: width * stride, into: target)
    return target.reading
  }

  /// Copies their lengths.
  func gather(_ lengths: AlignedBuffer<Float>) -> UnsafePointer<Float> {
    for row in 0..<count {
      unsafe norms.pointer[row] = lengths.pointer[Int(index.pointer[row])]
    }
    return unsafe UnsafePointer(norms.pointer)
  }

  /// Copies rows back to where they are from.
  func scatter(_ rows: Matrix, width: Int, into target: MutableMatrix) {
    unsafe RowGather.scatter(
      rows, index: index.pointer, rows: count, columns: width * stride, into: target)
  }
}
