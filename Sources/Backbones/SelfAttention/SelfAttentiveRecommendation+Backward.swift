import Kernels
import Sharding

/// From the derivatives of scores to the gradients of places, targets and dense parameters.
extension SelfAttentiveRecommendation {
  /// Writes the gradients of the references of a shard, and adds those of the dense parameters to
  /// `leaf`, which is zero.
  func backward(
    _ rows: Range<Int>, _ span: PlaceSpan, _ sequences: SequenceBatch,
    _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    leaf: UnsafeMutablePointer<Float>, dropout: DropoutKey?
  ) {
    unsafe scoreBackward(rows, span, sequences, parameters, scoreGradients: scoreGradients)
    let (first, count) = (span.places.lowerBound, span.places.count)
    guard count > 0 else { return }
    let key = active(dropout)
    let gradient = descending(0)
    unsafe LayerNormalization.backward(
      memory.matrix(memory.top, first).reading,
      statistics: memory.statistics(memory.topStatistics, span.places),
      gamma: parameters.dense + layout.lastNorm.gammaOffset, outputGradient: gradient.reading,
      rows: count, columns: shape.factors, into: gradient,
      gradients: layout.gradients(layout.lastNorm, leaf))
    for block in memory.blocks.indices.reversed() {
      unsafe feedForwardBackward(block, span, parameters.dense, leaf, isDropping: key != nil)
      unsafe attentionBackward(
        block, span, sequences, parameters.dense, leaf, isDropping: key != nil)
    }
    if key != nil { drop(gradient, memory.inputBits, span) }
    unsafe addPositions(gradient, span, sequences, leaf)
    Elementwise.scale(
      gradient.reading, by: Float(shape.factors).squareRoot(),
      into: memory.matrix(memory.referenceGradients, span.firstReference), rows: count,
      columns: shape.factors)
  }

  private func descending(_ number: Int) -> MutableMatrix {
    memory.matrix(memory.descending[number], 0)
  }

  /// `∂M_i = δ F_t`, and `∂F_t = Σ δ M_i` over the rows of a place.
  private func scoreBackward(
    _ rows: Range<Int>, _ span: PlaceSpan, _ sequences: SequenceBatch,
    _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>
  ) {
    let (first, firstReference) = (
      span.places.lowerBound, rows.lowerBound + span.places.lowerBound
    )
    let target = descending(0)
    unsafe target.base.update(repeating: 0, count: span.places.count * memory.stride)
    let items = parameters.items.table
    let outputs = memory.matrix(memory.outputs, 0).reading
    let itemGradients = memory.matrix(memory.referenceGradients, firstReference)
    for row in 0..<rows.count {
      let derivative = unsafe scoreGradients[rows.lowerBound + row]
      let place = unsafe Int(sequences.rowPlaces[rows.lowerBound + row])
      Elementwise.scale(
        outputs.rows(from: place), by: derivative, into: itemGradients.rows(from: row), rows: 1,
        columns: shape.factors)
      guard place > 0 else { continue }
      let item = unsafe Int(parameters.items.index[firstReference + row])
      Elementwise.add(
        items.rows(from: item), factor: derivative, to: target.rows(from: place - 1 - first),
        rows: 1, columns: shape.factors)
    }
  }

  /// Through `x = z + dropout(dropout(max(0, z W₁ + b₁)) W₂ + b₂)` and `z = LN(y)`.
  private func feedForwardBackward(
    _ block: Int, _ span: PlaceSpan, _ dense: UnsafePointer<Float>,
    _ leaf: UnsafeMutablePointer<Float>, isDropping: Bool
  ) {
    let (first, count) = (span.places.lowerBound, span.places.count)
    let (kept, place) = (memory.blocks[block], layout.blocks[block])
    let (gradient, outer, inner) = (descending(0), descending(1), descending(2))
    let hidden = memory.matrix(kept.hidden, first).reading
    unsafe outer.base.update(from: gradient.base, count: count * memory.stride)
    if isDropping { drop(outer, kept.outputBits, span) }
    unsafe Linear.backward(
      layout.linear(place.second, dense), rows: count, input: hidden,
      outputGradient: outer.reading, inputGradient: inner,
      gradients: layout.gradients(place.second, leaf))
    if isDropping { drop(inner, kept.hiddenBits, span) }
    RectifiedLinear.backward(
      outputs: hidden, gradients: inner, rows: count, columns: shape.factors)
    unsafe Linear.backward(
      layout.linear(place.first, dense), rows: count,
      input: memory.matrix(kept.feedForward, first).reading, outputGradient: inner.reading,
      inputGradient: outer, gradients: layout.gradients(place.first, leaf))
    Elementwise.add(outer.reading, to: gradient, rows: count, columns: shape.factors)
    unsafe LayerNormalization.backward(
      memory.matrix(kept.attended, first).reading,
      statistics: memory.statistics(kept.feedForwardStatistics, span.places),
      gamma: dense + place.feedForwardNorm.gammaOffset, outputGradient: gradient.reading,
      rows: count, columns: shape.factors, into: gradient,
      gradients: layout.gradients(place.feedForwardNorm, leaf))
  }

  /// Through `y = q + attention(q, x, x)` and `q = LN(x)`.
  private func attentionBackward(
    _ block: Int, _ span: PlaceSpan, _ sequences: SequenceBatch, _ dense: UnsafePointer<Float>,
    _ leaf: UnsafeMutablePointer<Float>, isDropping: Bool
  ) {
    let (first, count) = (span.places.lowerBound, span.places.count)
    let (kept, place) = (memory.blocks[block], layout.blocks[block])
    let (gradient, other) = (descending(0), descending(1))
    let (queries, keys, values) = (descending(2), descending(3), descending(4))
    for sequence in span.sequences where !sequences.places(of: sequence).isEmpty {
      let row = sequences.places(of: sequence).lowerBound - first
      unsafe CausalAttention.backward(
        attention(block, sequence, sequences, isDropping: isDropping),
        probabilities: kept.probabilities.pointer + memory.probabilityStarts.pointer[sequence],
        outputGradient: gradient.rows(from: row).reading,
        scratch: memory.attentionScratch.pointer,
        into: CausalAttention.Gradients(
          queries: queries.rows(from: row), keys: keys.rows(from: row),
          values: values.rows(from: row)))
    }
    let input = memory.matrix(kept.input, first).reading
    func backward(
      _ layer: AttentionLayout.Layer, _ input: Matrix, _ outputGradient: MutableMatrix
    ) {
      unsafe Linear.backward(
        layout.linear(layer, dense), rows: count, input: input,
        outputGradient: outputGradient.reading, inputGradient: other,
        gradients: layout.gradients(layer, leaf))
      Elementwise.add(other.reading, to: gradient, rows: count, columns: shape.factors)
    }
    backward(place.query, memory.matrix(kept.normal, first).reading, queries)
    unsafe LayerNormalization.backward(
      input, statistics: memory.statistics(kept.attentionStatistics, span.places),
      gamma: dense + place.attentionNorm.gammaOffset, outputGradient: gradient.reading,
      rows: count, columns: shape.factors, into: gradient,
      gradients: layout.gradients(place.attentionNorm, leaf))
    backward(place.key, input, keys)
    backward(place.value, input, values)
  }

  /// Applies the mask that the forward pass drew.
  private func drop(_ values: MutableMatrix, _ bits: ScratchBuffer<UInt8>, _ span: PlaceSpan) {
    unsafe Dropout.apply(
      values.reading,
      mask: memory.words.mask(bits.pointer + span.places.lowerBound * memory.stride / 8),
      rows: span.places.count, columns: shape.factors, into: values)
  }

  private func addPositions(
    _ gradient: MutableMatrix, _ span: PlaceSpan, _ sequences: SequenceBatch,
    _ leaf: UnsafeMutablePointer<Float>
  ) {
    let sums = memory.positionGradients
    unsafe sums.pointer.update(repeating: 0, count: sums.count)
    for sequence in span.sequences {
      let places = sequences.places(of: sequence)
      unsafe Elementwise.add(
        gradient.reading.rows(from: places.lowerBound - span.places.lowerBound),
        to: MutableMatrix(sums.pointer, stride: memory.stride)
          .rows(from: shape.length - places.count), rows: places.count, columns: shape.factors)
    }
    unsafe memory.writePositionGradients(leaf)
  }
}
