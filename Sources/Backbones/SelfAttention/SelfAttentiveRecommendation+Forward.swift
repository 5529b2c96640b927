import Kernels
import Sharding

/// From the items of places to `F`.
extension SelfAttentiveRecommendation {
  /// Which mask of a place a mask is.
  enum MaskNumber {
    case input
    case hidden(block: Int)
    case output(block: Int)
    case head(Int, block: Int)
  }

  func number(_ mask: MaskNumber) -> Int {
    let perBlock = 2 + shape.heads
    return switch mask {
    case .input: 0
    case .hidden(let block): 1 + block * perBlock
    case .output(let block): 2 + block * perBlock
    case .head(let head, let block): 3 + block * perBlock + head
    }
  }

  /// What of dropout there is in a pass: a rate of 0 draws nothing.
  func active(_ dropout: DropoutKey?) -> DropoutKey? { shape.dropout > 0 ? dropout : nil }

  /// Computes `F` of the places of a shard.
  func encode(
    _ span: PlaceSpan, _ sequences: SequenceBatch, items: WeightedProduct.Side,
    dense: UnsafePointer<Float>, dropout: DropoutKey?
  ) {
    unsafe memory.outputs.pointer.update(repeating: 0, count: memory.stride)
    let (first, count) = (span.places.lowerBound, span.places.count)
    guard count > 0 else { return }
    let key = active(dropout)
    let bottom = memory.matrix(memory.blocks.first?.input ?? memory.top, first)
    unsafe RowGather.gather(
      items.table, index: items.index + span.firstReference, rows: count, columns: shape.factors,
      into: bottom)
    Elementwise.scale(
      bottom.reading, by: Float(shape.factors).squareRoot(), into: bottom, rows: count,
      columns: shape.factors)
    for sequence in span.sequences {
      let places = sequences.places(of: sequence)
      Elementwise.add(
        positions(places.count), to: bottom.rows(from: places.lowerBound - first),
        rows: places.count, columns: shape.factors)
    }
    drop(bottom, memory.inputBits, .input, span, sequences, key)
    for block in memory.blocks.indices {
      unsafe attend(block, span, sequences, dense, key)
      unsafe feedForward(block, span, sequences, dense, key)
    }
    unsafe LayerNormalization.forward(
      memory.matrix(memory.top, first).reading, rows: count, columns: shape.factors,
      gamma: dense + layout.lastNorm.gammaOffset, beta: dense + layout.lastNorm.betaOffset,
      statistics: memory.statistics(memory.topStatistics, span.places),
      into: memory.matrix(memory.outputs, first + 1))
  }

  /// The positions of the last `count` places.
  private func positions(_ count: Int) -> Matrix {
    unsafe Matrix(memory.positions.pointer, stride: memory.stride).rows(from: shape.length - count)
  }

  /// `y = q + attention(q, x, x)`.
  private func attend(
    _ block: Int, _ span: PlaceSpan, _ sequences: SequenceBatch, _ dense: UnsafePointer<Float>,
    _ key: DropoutKey?
  ) {
    let (first, count) = (span.places.lowerBound, span.places.count)
    let (kept, place) = (memory.blocks[block], layout.blocks[block])
    let (input, normal) = (memory.matrix(kept.input, first), memory.matrix(kept.normal, first))
    unsafe LayerNormalization.forward(
      input.reading, rows: count, columns: shape.factors,
      gamma: dense + place.attentionNorm.gammaOffset, beta: dense + place.attentionNorm.betaOffset,
      statistics: memory.statistics(kept.attentionStatistics, span.places), into: normal)
    for (layer, source, target) in [
      (place.query, normal, kept.queries), (place.key, input, kept.keys),
      (place.value, input, kept.values),
    ] {
      unsafe Linear.forward(
        layout.linear(layer, dense), rows: count, input: source.reading,
        output: memory.matrix(target, first))
    }
    for sequence in span.sequences where !sequences.places(of: sequence).isEmpty {
      drawProbabilities(block, sequence, sequences, key)
      unsafe CausalAttention.forward(
        attention(block, sequence, sequences, isDropping: key != nil),
        probabilities: kept.probabilities.pointer + memory.probabilityStarts.pointer[sequence],
        scratch: memory.attentionScratch.pointer,
        into: memory.matrix(kept.attended, sequences.places(of: sequence).lowerBound))
    }
    Elementwise.add(
      normal.reading, to: memory.matrix(kept.attended, first), rows: count, columns: shape.factors)
  }

  /// `x = z + dropout(dropout(max(0, z W₁ + b₁)) W₂ + b₂)` with `z = LN(y)`.
  private func feedForward(
    _ block: Int, _ span: PlaceSpan, _ sequences: SequenceBatch, _ dense: UnsafePointer<Float>,
    _ key: DropoutKey?
  ) {
    let (first, count) = (span.places.lowerBound, span.places.count)
    let (kept, place) = (memory.blocks[block], layout.blocks[block])
    let normal = memory.matrix(kept.feedForward, first)
    unsafe LayerNormalization.forward(
      memory.matrix(kept.attended, first).reading, rows: count, columns: shape.factors,
      gamma: dense + place.feedForwardNorm.gammaOffset,
      beta: dense + place.feedForwardNorm.betaOffset,
      statistics: memory.statistics(kept.feedForwardStatistics, span.places), into: normal)
    let hidden = memory.matrix(kept.hidden, first)
    unsafe Linear.forward(
      layout.linear(place.first, dense, hasBias: false), rows: count, input: normal.reading,
      output: hidden)
    unsafe RectifiedLinear.forward(
      hidden, rows: count, columns: shape.factors, bias: dense + place.first.biasOffset)
    drop(hidden, kept.hiddenBits, .hidden(block: block), span, sequences, key)
    let output = memory.matrix(
      block + 1 < memory.blocks.count ? memory.blocks[block + 1].input : memory.top, first)
    unsafe Linear.forward(
      layout.linear(place.second, dense), rows: count, input: hidden.reading, output: output)
    drop(output, kept.outputBits, .output(block: block), span, sequences, key)
    Elementwise.add(normal.reading, to: output, rows: count, columns: shape.factors)
  }

  /// The attention of one sequence, whose first place is row 0.
  func attention(
    _ block: Int, _ sequence: Int, _ sequences: SequenceBatch, isDropping: Bool
  ) -> CausalAttention.Input {
    let places = sequences.places(of: sequence)
    let kept = memory.blocks[block]
    func rows(_ buffer: ScratchBuffer<Float>) -> Matrix {
      memory.matrix(buffer, places.lowerBound).reading
    }
    let mask =
      isDropping
      ? unsafe memory.words.mask(
        kept.probabilityBits.pointer + memory.probabilityStarts.pointer[sequence] / 8) : nil
    return unsafe CausalAttention.Input(
      shape: memory.attention(places.count), sequences: 1, padding: memory.noPadding.pointer,
      queries: rows(kept.queries), keys: rows(kept.keys), values: rows(kept.values),
      dropout: mask)
  }

  /// Draws and applies the mask of the places of a shard.
  private func drop(
    _ values: MutableMatrix, _ bits: ScratchBuffer<UInt8>, _ mask: MaskNumber, _ span: PlaceSpan,
    _ sequences: SequenceBatch, _ key: DropoutKey?
  ) {
    guard let key else { return }
    for sequence in span.sequences {
      let places = sequences.places(of: sequence)
      _ = unsafe memory.words.draw(
        into: bits.pointer + places.lowerBound * memory.stride / 8, rows: places.count,
        width: memory.stride, firstRow: firstRow(sequence, sequences), place: number(mask),
        key: key)
    }
    unsafe Dropout.apply(
      values.reading,
      mask: memory.words.mask(bits.pointer + span.places.lowerBound * memory.stride / 8),
      rows: span.places.count, columns: shape.factors, into: values)
  }

  private func drawProbabilities(
    _ block: Int, _ sequence: Int, _ sequences: SequenceBatch, _ key: DropoutKey?
  ) {
    guard let key else { return }
    let length = sequences.places(of: sequence).count
    let width = RowLayout.wholeBlocks(length)
    let bits = unsafe memory.blocks[block].probabilityBits.pointer
    for head in 0..<shape.heads {
      let start = unsafe memory.probabilityStarts.pointer[sequence] + head * length * width
      _ = unsafe memory.words.draw(
        into: bits + start / 8, rows: length, width: width,
        firstRow: firstRow(sequence, sequences), place: number(.head(head, block: block)),
        key: key)
    }
  }

  /// The number of a sequence's first place in the whole job.
  private func firstRow(_ sequence: Int, _ sequences: SequenceBatch) -> Int {
    unsafe Int(sequences.users[sequence]) * shape.length
  }
}
