/// Attention of every place of a sequence to the places up to it, and its gradients.
///
///     P = softmax(Q Kᵀ / √(d / H)) over the places there are, up to the row's own
///     O = dropout(P) V                    per head; columns of heads lie side by side
///
/// Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018 (`H` = 1); Vaswani et al.,
/// NeurIPS 2017. `B` sequences of `T` places, `d` columns, `H` heads. Sequences are aligned at their
/// ends: the first `padding[b]` places are empty, are not attended to, and have zero outputs and
/// gradients, whatever lies there.
///
/// All products have the shape of one sequence, so bits depend on the sequence alone.
package enum CausalAttention {
  /// The sizes of all sequences of a batch.
  package struct Shape: Sendable {
    /// `T`.
    package let length: Int
    /// `d`.
    package let columns: Int
    /// `H`, which divides `d`.
    package let heads: Int

    package init(length: Int, columns: Int, heads: Int = 1) {
      precondition(length > 0 && columns > 0, "a sequence has places and columns")
      precondition(heads > 0 && columns % heads == 0, "heads share the columns evenly")
      self.length = length
      self.columns = columns
      self.heads = heads
    }

    /// Floats of a row of probabilities: `T`, padded to whole blocks.
    package var probabilityStride: Int { RowLayout.wholeBlocks(length) }
    /// Floats of the probabilities of a sequence; an eighth of it are the bytes of its mask.
    package var probabilityCount: Int { heads * length * probabilityStride }
    /// Floats of the memory that both passes work in.
    package var scratchCount: Int { 2 * length * probabilityStride }
    /// Columns of a head.
    var width: Int { columns / heads }
    /// `1 / √(d / H)`.
    var scale: Float { 1 / Float(width).squareRoot() }
  }

  /// What both passes read.
  @safe
  package struct Input {
    package let shape: Shape
    /// `B`.
    package let sequences: Int
    /// `(B)`: empty places at the start of each sequence, at most `T`.
    package let padding: UnsafePointer<UInt32>
    /// `(B · T, d)`.
    package let queries: Matrix
    /// `(B · T, d)`.
    package let keys: Matrix
    /// `(B · T, d)`.
    package let values: Matrix
    /// `(B · H · T, T)`, of probabilities; nil drops none.
    package let dropout: Dropout.Mask?

    package init(
      shape: Shape, sequences: Int, padding: UnsafePointer<UInt32>, queries: Matrix, keys: Matrix,
      values: Matrix, dropout: Dropout.Mask? = nil
    ) {
      self.shape = shape
      self.sequences = sequences
      unsafe self.padding = unsafe padding
      self.queries = queries
      self.keys = keys
      self.values = values
      self.dropout = dropout
    }
  }

  /// Writes the outputs of a batch.
  ///
  /// - Parameters:
  ///   - input: The batch.
  ///   - probabilities: `(B · H · T, probabilityStride)`, overwritten: `P` before dropout, for the
  ///     backward pass; zero where nothing is attended to.
  ///   - scratch: `(shape.scratchCount)`, overwritten.
  ///   - output: `(B · T, d)`, overwritten.
  /// - Complexity: O(B · T² · d); no allocation of ours.
  package static func forward(
    _ input: Input, probabilities: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, into output: MutableMatrix
  ) {
    let shape = input.shape
    let stride = shape.probabilityStride
    for sequence in 0..<input.sequences {
      let span = unsafe AttentionSpan(shape, sequence, padding: input.padding[sequence])
      span.clearPadding(of: output)
      for head in 0..<shape.heads {
        let offset = (sequence &* shape.heads &+ head) &* shape.length
        let all = unsafe MutableMatrix(probabilities + offset &* stride, stride: stride)
        MatrixProduct.multiply(
          rows: span.count, columns: span.count, inner: shape.width,
          span.part(input.queries, head), span.part(input.keys, head), into: span.square(all),
          factor: shape.scale, transposeB: true)
        softmax(all, padding: span.padding, length: shape.length)
        let dropped = unsafe MutableMatrix(scratch, stride: stride)
        let kept = drop(input, all.reading, offset: offset, into: dropped)
        MatrixProduct.multiply(
          rows: span.count, columns: shape.width, inner: span.count,
          span.square(kept), span.part(input.values, head), into: span.part(output, head))
      }
    }
  }

  /// Probabilities after dropout: themselves without a mask.
  static func drop(
    _ input: Input, _ probabilities: Matrix, offset: Int, into target: MutableMatrix
  ) -> Matrix {
    guard let mask = input.dropout else { return probabilities }
    let (length, stride) = (input.shape.length, input.shape.probabilityStride)
    unsafe Dropout.apply(
      probabilities,
      mask: Dropout.Mask(bits: mask.bits + offset &* stride / 8, rate: mask.rate), rows: length,
      columns: length, into: target)
    return target.reading
  }

  /// Turns logits into probabilities of the places `padding ... row` of each row, in place; all else
  /// becomes zero.
  private static func softmax(_ rows: MutableMatrix, padding: Int, length: Int) {
    let width = RowLayout.wholeBlocks(length)
    for row in 0..<length {
      let values = unsafe rows.row(row)
      guard row >= padding else {
        unsafe values.update(repeating: 0, count: width)
        continue
      }
      // Whole blocks that hold a place which is attended to.
      let (start, end) = (padding / 8 * 8, RowLayout.wholeBlocks(row + 1))
      var highest = SIMD8<Float>(repeating: -.infinity)
      for column in stride(from: start, to: end, by: 8) {
        let seen = placesSeen(column: column, padding: padding, row: row)
        let logits = unsafe select(seen, load8(values + column), SIMD8(repeating: -.infinity))
        highest = highest.replacing(with: logits, where: logits .> highest)
      }
      let top = SIMD8(repeating: highest.max())
      var sums = SIMD8<Float>.zero
      for column in stride(from: start, to: end, by: 8) {
        let seen = placesSeen(column: column, padding: padding, row: row)
        let power = unsafe select(seen, exponential(load8(values + column) - top), .zero)
        sums += power
        unsafe store8(power, values + column)
      }
      let sum = SIMD8(repeating: horizontalSum(sums))
      for column in stride(from: start, to: end, by: 8) {
        unsafe store8(load8(values + column) / sum, values + column)
      }
      unsafe values.update(repeating: 0, count: start)
      unsafe (values + end).update(repeating: 0, count: width - end)
    }
  }
}

/// Which of the 8 places from `column` on are among `padding ... row`, one bit each.
@inline(__always)
private func placesSeen(column: Int, padding: Int, row: Int) -> UInt8 {
  let (skipped, last) = (max(padding &- column, 0), min(row &- column, 7))
  return (UInt8.max << UInt8(truncatingIfNeeded: skipped))
    & (UInt8.max >> UInt8(truncatingIfNeeded: 7 &- last))
}

/// The places of a sequence that are not empty.
struct AttentionSpan {
  let shape: CausalAttention.Shape
  let padding: Int
  /// Row of the sequence's first place in the batch.
  let first: Int

  init(_ shape: CausalAttention.Shape, _ sequence: Int, padding: UInt32) {
    self.shape = shape
    self.padding = Int(padding)
    precondition(
      self.padding <= shape.length, "a sequence has no more empty places than places")
    first = sequence * shape.length
  }

  /// Places that are not empty.
  var count: Int { shape.length - padding }

  /// The rows of these places, from the columns of a head on.
  func part(_ matrix: Matrix, _ head: Int) -> Matrix {
    matrix.rows(from: first + padding).columns(from: head * shape.width)
  }

  func part(_ matrix: MutableMatrix, _ head: Int) -> MutableMatrix {
    matrix.rows(from: first + padding).columns(from: head * shape.width)
  }

  /// The rows and columns of these places in probabilities.
  func square(_ matrix: Matrix) -> Matrix { matrix.rows(from: padding).columns(from: padding) }

  func square(_ matrix: MutableMatrix) -> MutableMatrix {
    matrix.rows(from: padding).columns(from: padding)
  }

  /// Writes zeros to the rows of empty places.
  func clearPadding(of matrix: MutableMatrix) {
    for row in first..<first + padding {
      unsafe matrix.row(row).update(repeating: 0, count: RowLayout.wholeBlocks(shape.columns))
    }
  }
}
