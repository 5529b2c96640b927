import Kernels
import Sharding

/// The layers of NGCF on one side: this rank's users, or the item rows that it owns.
///
/// Dense products run shard by shard, so their shapes depend on the dataset only.
@safe
final class NeuralGraphSide {
  let count: Int
  let stride: Int
  private let shards: [Range<Int>]
  private let firstRow: Int
  /// The number of the first row among users and items together, for masks.
  private let firstNode: Int
  private let parameters: [NeuralGraphLayer]
  private let layers: [Layer]
  private let words: DropoutWords?
  private let keys: AlignedBuffer<UInt32>
  /// `(count)`: `1 / (degree + 1)`.
  let scales: AlignedBuffer<Float>

  /// `(count, stride)` each: the gradient of the layer at hand, what the map of neighbours passes
  /// back, and room for products.
  let gradient: AlignedBuffer<Float>
  let sumGradient: AlignedBuffer<Float>
  let scratch: AlignedBuffer<Float>
  private let secondScratch: AlignedBuffer<Float>
  /// `(count, (K + 1) · stride)`: the gradient of the propagated rows.
  private let scoredGradient: AlignedBuffer<Float>

  /// What a layer leaves for the way back.
  private struct Layer {
    /// `(count, stride)`: output, neighbours' mean, outputs of the two maps.
    let output, mean, neighbours, interaction: AlignedBuffer<Float>
    let norms: AlignedBuffer<Float>
    let mask: AlignedBuffer<UInt8>

    init(count: Int, stride: Int) {
      output = AlignedBuffer(count: count * stride)
      mean = AlignedBuffer(count: count * stride)
      neighbours = AlignedBuffer(count: count * stride)
      interaction = AlignedBuffer(count: count * stride)
      norms = AlignedBuffer(count: count)
      mask = AlignedBuffer(count: count * stride / 8)
    }
  }

  /// - Parameters:
  ///   - shards: The rows of each shard, from 0.
  ///   - firstRow: The number of row 0 in its table.
  ///   - firstNode: Its number among all users and items.
  ///   - degrees: Edges of each row.
  ///   - shape: The sizes.
  ///   - parameters: Of the layers.
  ///   - stride: Floats per row.
  init(
    shards: [Range<Int>], firstRow: Int, firstNode: Int, degrees: [Int],
    shape: NeuralGraphCollaborativeFiltering.Shape, parameters: [NeuralGraphLayer], stride: Int
  ) {
    let count = degrees.count
    self.count = count
    self.stride = stride
    self.shards = shards
    self.firstRow = firstRow
    self.firstNode = firstNode
    self.parameters = parameters
    layers = parameters.map { _ in Layer(count: count, stride: stride) }
    words = shape.dropout > 0 ? DropoutWords(rate: shape.dropout, columns: stride) : nil
    keys = AlignedBuffer(count: count)
    for row in 0..<count { unsafe keys.pointer[row] = UInt32(firstRow + row) }
    scales = AlignedBuffer(degrees) { 1 / ($0 + 1) }
    gradient = AlignedBuffer(count: count * stride)
    sumGradient = AlignedBuffer(count: count * stride)
    scratch = AlignedBuffer(count: count * stride)
    secondScratch = AlignedBuffer(count: count * stride)
    scoredGradient = AlignedBuffer(count: count * (layers.count + 1) * stride)
  }

  private func matrix(_ buffer: AlignedBuffer<Float>) -> MutableMatrix {
    unsafe MutableMatrix(buffer.pointer, stride: stride)
  }

  private func scored(_ layer: Int, _ base: UnsafeMutablePointer<Float>) -> MutableMatrix {
    unsafe MutableMatrix(base + layer * stride, stride: (layers.count + 1) * stride)
  }

  /// The rows that layer `layer`, from 1, makes.
  func output(_ layer: Int) -> UnsafeMutablePointer<Float> {
    unsafe layers[layer - 1].output.pointer
  }

  /// The place of the neighbours' means of layer `layer`, from 1.
  func mean(_ layer: Int) -> UnsafeMutablePointer<Float> {
    unsafe layers[layer - 1].mean.pointer
  }

  // MARK: Forward

  /// Writes layer 0 of the propagated rows.
  func begin(_ rows: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    unsafe Elementwise.scale(
      Matrix(rows, stride: stride), by: 1, into: scored(0, target), rows: count, columns: stride)
  }

  /// Adds the rows themselves to the sums of their neighbours, which have their scale already;
  /// `connections` are those of a step with node dropout.
  func addSelf(
    _ rows: UnsafePointer<Float>, _ connections: NodeDropout.SelfConnections?,
    to sums: UnsafeMutablePointer<Float>
  ) {
    unsafe Elementwise.addRows(
      Matrix(rows, stride: stride), by: (connections?.values ?? scales).pointer,
      to: MutableMatrix(sums, stride: stride), rows: count, columns: stride)
  }

  /// Computes layer `layer`, from 1, from the rows before it and the neighbours' means.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - rows: `(count, stride)`: the rows before it.
  ///   - dense: All dense parameters.
  ///   - dropout: Of a training step.
  ///   - target: The propagated rows, of which one block of columns is written.
  func forward(
    _ layer: Int, rows: UnsafePointer<Float>, dense: UnsafePointer<Float>, dropout: DropoutKey?,
    into target: UnsafeMutablePointer<Float>
  ) {
    let (state, map) = (layers[layer - 1], parameters[layer - 1])
    unsafe Elementwise.multiply(
      Matrix(rows, stride: stride), matrix(state.mean).reading, into: matrix(scratch),
      rows: count, columns: stride)
    for shard in shards {
      unsafe apply(map, .neighbours, dense, matrix(state.mean), shard, into: state.neighbours)
      unsafe apply(map, .interaction, dense, matrix(scratch), shard, into: state.interaction)
    }
    unsafe state.output.pointer.update(
      from: state.neighbours.pointer, count: count * stride)
    Elementwise.add(
      matrix(state.interaction).reading, to: matrix(state.output), rows: count, columns: stride)
    if let words, let dropout {
      let mask = unsafe words.draw(
        into: state.mask.pointer, rows: count, firstRow: firstNode, place: layer, key: dropout)
      Dropout.apply(
        matrix(state.output).reading, mask: mask, rows: count, columns: stride,
        into: matrix(state.output))
    }
    unsafe RowNormalization.forward(
      matrix(state.output).reading, rows: count, columns: stride, norms: state.norms.pointer,
      into: scored(layer, target))
  }

  private func apply(
    _ layer: NeuralGraphLayer, _ map: NeuralGraphLayer.Map, _ dense: UnsafePointer<Float>,
    _ input: MutableMatrix, _ shard: Range<Int>, into output: AlignedBuffer<Float>
  ) {
    let target = matrix(output).rows(from: shard.lowerBound)
    unsafe Linear.forward(
      layer.layer(map, dense), rows: shard.count,
      input: input.rows(from: shard.lowerBound).reading, output: target)
    unsafe LeakyRectifiedLinear.forward(
      target, rows: shard.count, columns: stride, bias: layer.bias(map, dense))
  }

  // MARK: Backward

  /// Starts with the gradients of some propagated rows; the others are zero.
  func begin(_ gradients: KeyedRows) {
    let width = (layers.count + 1) * stride
    unsafe scoredGradient.pointer.update(repeating: 0, count: scoredGradient.count)
    for index in 0..<gradients.count {
      let row = unsafe Int(gradients.keys[index]) - firstRow
      unsafe (scoredGradient.pointer + row * width).update(
        from: gradients.rows + index * width, count: width)
    }
    unsafe gradient.pointer.update(repeating: 0, count: gradient.count)
  }

  /// Goes back through layer `layer`: leaves in ``gradient`` what reaches the rows before it
  /// directly, in ``sumGradient`` what reaches the neighbours' means.
  ///
  /// - Parameters:
  ///   - layer: From 1.
  ///   - rows: `(count, stride)`: the rows before it.
  ///   - dense: All dense parameters.
  ///   - scoredRows: The propagated rows.
  ///   - hasDropout: Whether the forward pass drew a mask.
  ///   - denseLeaves: `(S', denseCount)`, added to.
  ///   - denseCount: Floats of a leaf.
  func backward(
    _ layer: Int, rows: UnsafePointer<Float>, dense: UnsafePointer<Float>,
    scoredRows: UnsafeMutablePointer<Float>, hasDropout: Bool,
    denseLeaves: UnsafeMutablePointer<Float>, denseCount: Int
  ) {
    let (state, map) = (layers[layer - 1], parameters[layer - 1])
    let before = unsafe Matrix(rows, stride: stride)
    unsafe RowNormalization.backward(
      outputs: scored(layer, scoredRows).reading, norms: state.norms.pointer,
      outputGradient: scored(layer, scoredGradient.pointer).reading, rows: count, columns: stride,
      into: matrix(scratch))
    Elementwise.add(
      matrix(scratch).reading, to: matrix(gradient), rows: count, columns: stride)
    if let words, hasDropout {
      unsafe Dropout.apply(
        matrix(gradient).reading, mask: words.mask(state.mask.pointer), rows: count,
        columns: stride, into: matrix(gradient))
    }
    unsafe scratch.pointer.update(from: gradient.pointer, count: count * stride)
    LeakyRectifiedLinear.backward(
      outputs: matrix(state.neighbours).reading, gradients: matrix(scratch), rows: count,
      columns: stride)
    LeakyRectifiedLinear.backward(
      outputs: matrix(state.interaction).reading, gradients: matrix(gradient), rows: count,
      columns: stride)
    Elementwise.multiply(
      before, matrix(state.mean).reading, into: matrix(secondScratch), rows: count,
      columns: stride)
    for (index, shard) in shards.enumerated() {
      let leaf = unsafe denseLeaves + index * denseCount
      unsafe applyBackward(
        map, .neighbours, dense, leaf, shard, input: state.mean, gradient: scratch,
        into: sumGradient)
      // The input is not needed again: its gradient takes its place.
      unsafe applyBackward(
        map, .interaction, dense, leaf, shard, input: secondScratch, gradient: gradient,
        into: scratch)
    }
    Elementwise.addProduct(
      matrix(scratch).reading, before, to: matrix(sumGradient), rows: count, columns: stride)
    Elementwise.multiply(
      matrix(scratch).reading, matrix(state.mean).reading, into: matrix(gradient), rows: count,
      columns: stride)
  }

  private func applyBackward(
    _ layer: NeuralGraphLayer, _ map: NeuralGraphLayer.Map, _ dense: UnsafePointer<Float>,
    _ leaf: UnsafeMutablePointer<Float>, _ shard: Range<Int>, input: AlignedBuffer<Float>,
    gradient: AlignedBuffer<Float>, into target: AlignedBuffer<Float>
  ) {
    unsafe Linear.backward(
      layer.layer(map, dense), rows: shard.count,
      input: matrix(input).rows(from: shard.lowerBound).reading,
      outputGradient: matrix(gradient).rows(from: shard.lowerBound).reading,
      inputGradient: matrix(target).rows(from: shard.lowerBound),
      gradients: layer.gradients(map, leaf))
  }

  /// Adds rows to the gradient.
  func addToGradient(_ rows: UnsafePointer<Float>) {
    unsafe Elementwise.add(
      Matrix(rows, stride: stride), to: matrix(gradient), rows: count, columns: stride)
  }

  /// Adds what reaches layer 0 as a part of the propagated rows; the gradients of all rows.
  func finish() -> KeyedRows {
    unsafe Elementwise.add(
      scored(0, scoredGradient.pointer).reading, to: matrix(gradient), rows: count,
      columns: stride)
    return unsafe KeyedRows(keys: keys.pointer, rows: gradient.pointer, count: count)
  }
}
