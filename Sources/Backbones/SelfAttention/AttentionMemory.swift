import Kernels
import Sharding

/// What the passes of ``SelfAttentiveRecommendation`` work in, sized by the largest batch.
///
/// All matrices are `(places, d)` padded to whole blocks, whose padding stays zero: every buffer
/// starts as zeros, and kernels write whole rows or exact columns.
@safe
final class AttentionMemory {
  /// What a block leaves behind.
  final class Block {
    /// The block's input.
    let input = ScratchBuffer<Float>()
    /// `q`.
    let normal = ScratchBuffer<Float>()
    let queries = ScratchBuffer<Float>()
    let keys = ScratchBuffer<Float>()
    let values = ScratchBuffer<Float>()
    /// Of each sequence of `L` places `(H · L, L)`.
    let probabilities = ScratchBuffer<Float>()
    /// `y`.
    let attended = ScratchBuffer<Float>()
    /// `z`.
    let feedForward = ScratchBuffer<Float>()
    /// After rectifier and dropout.
    let hidden = ScratchBuffer<Float>()
    let attentionStatistics = ScratchBuffer<Float>()
    let feedForwardStatistics = ScratchBuffer<Float>()
    let probabilityBits = ScratchBuffer<UInt8>()
    let hiddenBits = ScratchBuffer<UInt8>()
    let outputBits = ScratchBuffer<UInt8>()

    var matrices: [ScratchBuffer<Float>] {
      [input, normal, queries, keys, values, attended, feedForward, hidden]
    }
  }

  /// Floats of a row.
  let stride: Int
  let blocks: [Block]
  /// The last block's output.
  let top = ScratchBuffer<Float>()
  let topStatistics = ScratchBuffer<Float>()
  /// `(1 + places, d)`: `F`, after a row of zeros for what has no place.
  let outputs = ScratchBuffer<Float>()
  let inputBits = ScratchBuffer<UInt8>()
  /// `(count + 1)`: where the probabilities of each sequence start.
  let probabilityStarts = ScratchBuffer<Int>()
  /// `(references, d)`.
  let referenceGradients = ScratchBuffer<Float>()
  /// Of one shard: what is on its way down.
  let descending = (0..<5).map { _ in ScratchBuffer<Float>() }
  /// `(n, d)`: the positions, padded.
  let positions: AlignedBuffer<Float>
  let positionGradients: AlignedBuffer<Float>
  let attentionScratch: AlignedBuffer<Float>
  /// A zero: sequences have no empty places.
  let noPadding = AlignedBuffer<UInt32>(count: 1)
  let words: DropoutWords

  private let shape: SelfAttentiveRecommendation.Shape

  init(_ shape: SelfAttentiveRecommendation.Shape) {
    self.shape = shape
    stride = RowLayout.wholeBlocks(shape.factors)
    blocks = (0..<shape.blocks).map { _ in Block() }
    positions = AlignedBuffer(count: shape.length * stride)
    positionGradients = AlignedBuffer(count: shape.length * stride)
    let longest = CausalAttention.Shape(
      length: shape.length, columns: shape.factors, heads: shape.heads)
    attentionScratch = AlignedBuffer(count: longest.scratchCount)
    words = DropoutWords(
      rate: shape.dropout, columns: max(stride, RowLayout.wholeBlocks(shape.length)))
  }

  /// The shape of the attention of a sequence of `length` places, at least 1.
  func attention(_ length: Int) -> CausalAttention.Shape {
    CausalAttention.Shape(length: length, columns: shape.factors, heads: shape.heads)
  }

  /// Makes room for what the places of a batch leave behind.
  func reserve(_ sequences: SequenceBatch) {
    let starts = unsafe probabilityStarts.reserve(sequences.count + 1)
    unsafe starts[0] = 0
    for sequence in 0..<sequences.count {
      let length = sequences.places(of: sequence).count
      unsafe starts[sequence + 1] =
        starts[sequence] + (length > 0 ? attention(length).probabilityCount : 0)
    }
    let (places, probabilities) = unsafe (sequences.placeCount, starts[sequences.count])
    for block in blocks {
      for matrix in block.matrices { _ = unsafe matrix.reserve(places * stride) }
      _ = unsafe block.attentionStatistics.reserve(2 * places)
      _ = unsafe block.feedForwardStatistics.reserve(2 * places)
      _ = unsafe block.probabilities.reserve(probabilities)
      _ = unsafe block.probabilityBits.reserve(probabilities / 8)
      _ = unsafe block.hiddenBits.reserve(places * stride / 8)
      _ = unsafe block.outputBits.reserve(places * stride / 8)
    }
    _ = unsafe top.reserve(places * stride)
    _ = unsafe topStatistics.reserve(2 * places)
    _ = unsafe outputs.reserve((1 + places) * stride)
    _ = unsafe inputBits.reserve(places * stride / 8)
  }

  /// Makes room for the gradients of a batch.
  func reserveGradients(references: Int) {
    _ = unsafe referenceGradients.reserve(references * stride)
    for buffer in descending { _ = unsafe buffer.reserve(references * stride) }
  }

  /// Copies the positions to where rows are padded.
  func readPositions(_ dense: UnsafePointer<Float>) {
    for row in 0..<shape.length {
      unsafe (positions.pointer + row * stride).update(
        from: dense + row * shape.factors, count: shape.factors)
    }
  }

  /// Adds the gradients of the positions to a leaf of zeros.
  func writePositionGradients(_ leaf: UnsafeMutablePointer<Float>) {
    for row in 0..<shape.length {
      unsafe (leaf + row * shape.factors).update(
        from: positionGradients.pointer + row * stride, count: shape.factors)
    }
  }

  /// The rows of `buffer` from the place `first` on.
  func matrix(_ buffer: ScratchBuffer<Float>, _ first: Int) -> MutableMatrix {
    unsafe MutableMatrix(buffer.pointer + first * stride, stride: stride)
  }

  /// Statistics of the places of a shard: its means, then its scales.
  func statistics(
    _ buffer: ScratchBuffer<Float>, _ places: Range<Int>
  ) -> LayerNormalization.Statistics {
    let means = unsafe buffer.pointer + 2 * places.lowerBound
    return unsafe LayerNormalization.Statistics(means: means, scales: means + places.count)
  }
}
