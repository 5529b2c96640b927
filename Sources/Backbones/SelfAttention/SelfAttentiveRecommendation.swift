package import Kernels
import Randomness
package import Sharding

/// SASRec: the score of an item is its product with what attention makes of the items before it.
///
///     x = dropout(√d M_s + P)
///     each block:   q = LN(x)     y = q + attention(q W_Q + b, x W_K + b, x W_V + b)
///                   z = LN(y)     x = z + dropout(dropout(max(0, z W₁ + b₁)) W₂ + b₂)
///     F = LN(x)     score(place t, item i) = F_t · M_i
///
/// Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018, with the order of
/// normalisations and residuals of the authors' program. `M` is the item table, for inputs and
/// outputs; users have no factors. `P` has a row for each of the last `n` places, counted from the
/// end of a sequence. All matrices and tables start Xavier-uniformly, as there; biases and β at 0, γ
/// at 1.
///
/// Every matrix product is of one shard's places, or of one sequence.
@safe
package final class SelfAttentiveRecommendation: SequenceBackbone {
  /// The sizes of a model.
  package struct Shape: Equatable, Sendable {
    /// `d`.
    package var factors: Int
    /// `n`.
    package var length: Int
    package var blocks: Int
    /// They divide `d`.
    package var heads: Int
    /// The share of activations that is dropped in training, in `[0, 1)`.
    package var dropout: Float

    package init(factors: Int, length: Int, blocks: Int, heads: Int, dropout: Float) {
      self.factors = factors
      self.length = length
      self.blocks = blocks
      self.heads = heads
      self.dropout = dropout
    }
  }

  let shape: Shape
  let layout: AttentionLayout
  let memory: AttentionMemory
  let product: DotProduct
  private let itemCount: Int

  /// - Parameters:
  ///   - shape: The sizes.
  ///   - itemCount: Items, which decide the size of initial values.
  package init(_ shape: Shape, itemCount: Int) {
    MatrixProduct.useOneThread()
    self.shape = shape
    self.itemCount = itemCount
    layout = AttentionLayout(factors: shape.factors, length: shape.length, blocks: shape.blocks)
    memory = AttentionMemory(shape)
    product = DotProduct(factors: shape.factors)
  }

  package var userLayout: RowLayout { RowLayout(factors: 0, hasBias: false) }
  package var itemLayout: RowLayout { RowLayout(factors: shape.factors, hasBias: false) }
  package var denseTensors: [DenseTensor] { layout.tensors }
  package var denseCount: Int { layout.denseCount }
  package var keepsIntermediates: Bool { true }
  package var sequenceLength: Int { shape.length }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {}

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    XavierValues(inputs: itemCount, outputs: shape.factors).fill(
      table, layout: itemLayout, firstRow: firstRow,
      random: Philox(seed: seed, purpose: .initialItems))
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    let random = Philox(seed: seed, purpose: .initialDense)
    // A value's place in the file is its place in the stream.
    unsafe XavierValues(inputs: shape.length, outputs: shape.factors).fill(
      dense, count: shape.length * shape.factors, first: 0, random: random)
    let values = XavierValues(inputs: shape.factors, outputs: shape.factors)
    for layer in layout.layers {
      unsafe values.fill(
        dense + layer.weightOffset, count: shape.factors * shape.factors,
        first: layer.weightOffset, random: random)
    }
    for norm in layout.normalizations {
      unsafe (dense + norm.gammaOffset).update(repeating: 1, count: shape.factors)
    }
  }

  package func writeItemReferences(
    of batch: RowBatch, into references: UnsafeMutablePointer<UInt32>
  ) {
    let sequences = sequences(of: batch)
    for shard in 0..<batch.runs.count {
      let rows = batch.runs.rows(of: shard)
      let places = sequences.places(of: sequences.sequences(of: shard))
      let target = unsafe references + rows.lowerBound + places.lowerBound
      unsafe target.update(from: batch.items + rows.lowerBound, count: rows.count)
      unsafe (target + rows.count).update(
        from: sequences.items + places.lowerBound, count: places.count)
    }
  }

  package func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    let sequences = sequences(of: batch)
    memory.reserve(sequences)
    unsafe memory.readPositions(parameters.dense)
    for shard in 0..<batch.runs.count {
      let rows = batch.runs.rows(of: shard)
      let span = PlaceSpan(sequences, shard: shard, rowEnd: rows.upperBound)
      unsafe encode(
        span, sequences, items: parameters.items, dense: parameters.dense, dropout: batch.dropout)
      unsafe product.forward(
        count: rows.count,
        users: WeightedProduct.Side(
          base: memory.outputs.pointer, spacing: memory.stride,
          index: sequences.rowPlaces + rows.lowerBound),
        items: WeightedProduct.Side(
          base: parameters.items.base, spacing: parameters.items.spacing,
          index: parameters.items.index + rows.lowerBound + span.places.lowerBound),
        into: scores + rows.lowerBound)
    }
  }

  package func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    let sequences = sequences(of: batch)
    memory.reserveGradients(references: batch.count + sequences.placeCount)
    for shard in 0..<batch.runs.count {
      let rows = batch.runs.rows(of: shard)
      let span = PlaceSpan(sequences, shard: shard, rowEnd: rows.upperBound)
      let leaf = unsafe gradients.denseLeaves + shard * denseCount
      unsafe leaf.update(repeating: 0, count: denseCount)
      unsafe backward(
        rows, span, sequences, parameters, scoreGradients: scoreGradients, leaf: leaf,
        dropout: batch.dropout)
    }
    unsafe RowScatter.addItems(
      Matrix(memory.referenceGradients.pointer, stride: itemLayout.stride),
      columns: shape.factors, segments: gradients.itemSegments, runs: sequences.references,
      ordered: gradients.isOrdered, scratch: gradients.scratch, partials: gradients.itemPartials)
  }

  package func encode(
    _ sequences: SequenceBatch, items: WeightedProduct.Side, dense: UnsafePointer<Float>,
    into vectors: UnsafeMutablePointer<Float>
  ) {
    memory.reserve(sequences)
    unsafe memory.readPositions(dense)
    let span = PlaceSpan(sequences, shard: 0, rowEnd: 0)
    unsafe encode(span, sequences, items: items, dense: dense, dropout: nil)
    let stride = itemLayout.stride
    for sequence in 0..<sequences.count {
      let places = sequences.places(of: sequence)
      // The row before the first place is zero.
      let last = places.isEmpty ? 0 : places.upperBound
      unsafe (vectors + sequence * stride).update(
        from: memory.outputs.pointer + last * stride, count: stride)
    }
  }

  private func sequences(of batch: RowBatch) -> SequenceBatch {
    guard let sequences = batch.sequences else {
      preconditionFailure("a batch of a model of sequences has sequences")
    }
    return sequences
  }
}

/// The places of one local shard.
struct PlaceSpan {
  let sequences: Range<Int>
  let places: Range<Int>
  /// The reference of its first place.
  let firstReference: Int

  init(_ batch: SequenceBatch, shard: Int, rowEnd: Int) {
    sequences = batch.sequences(of: shard)
    places = batch.places(of: sequences)
    firstReference = rowEnd + places.lowerBound
  }
}
