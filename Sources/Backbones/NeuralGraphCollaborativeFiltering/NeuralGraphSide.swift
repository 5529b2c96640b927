import Kernels
import Sharding

/// The layers of NGCF on one side: this rank's users, or the item rows that it owns.
///
/// Dense work runs block by block; see ``RowBlock``.
@safe
final class NeuralGraphSide {
  let count: Int
  let stride: Int
  private let blocks: [RowBlock]
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
  /// back, and room for what the neighbours pass back.
  let gradient: AlignedBuffer<Float>
  let sumGradient: AlignedBuffer<Float>
  let scratch: AlignedBuffer<Float>
  /// The gradients of the propagated rows that have one.
  private var scoredGradients: KeyedRows
  /// `(rows of a block, stride)` each: products, and gradients of the maps' outputs.
  private let product: AlignedBuffer<Float>
  private let mapGradient: AlignedBuffer<Float>

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
    blocks = RowBlock.cut(shards)
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
    product = AlignedBuffer(count: RowBlock.size * stride)
    mapGradient = AlignedBuffer(count: RowBlock.size * stride)
    scoredGradients = unsafe KeyedRows(keys: keys.pointer, rows: gradient.pointer, count: 0)
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

  /// Computes layer `layer`, from 1, from the rows before it and the sums over their neighbours, which
  /// have their scale already and become means with the rows themselves.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - rows: `(count, stride)`: the rows before it.
  ///   - connections: Of the rows with themselves in a step with node dropout.
  ///   - dense: All dense parameters.
  ///   - dropout: Of a training step.
  ///   - target: The propagated rows, of which one block of columns is written.
  func forward(
    _ layer: Int, rows: UnsafePointer<Float>, _ connections: NodeDropout.SelfConnections?,
    dense: UnsafePointer<Float>, dropout: DropoutKey?, into target: UnsafeMutablePointer<Float>
  ) {
    let (state, map) = (layers[layer - 1], parameters[layer - 1])
    let selves = unsafe (connections?.values ?? scales).pointer
    for block in blocks {
      let (first, size) = (block.range.lowerBound, block.range.count)
      let before = unsafe Matrix(rows, stride: stride).rows(from: first)
      let mean = matrix(state.mean).rows(from: first)
      let (neighbours, output) = (
        matrix(state.neighbours).rows(from: first), matrix(state.output).rows(from: first)
      )
      let interaction = matrix(state.interaction).rows(from: first)
      unsafe Elementwise.addRows(before, by: selves + first, to: mean, rows: size, columns: stride)
      Elementwise.multiply(before, mean.reading, into: matrix(product), rows: size, columns: stride)
      unsafe apply(map, .neighbours, dense, mean, rows: size, into: neighbours)
      unsafe apply(map, .interaction, dense, matrix(product), rows: size, into: interaction)
      Elementwise.sum(
        neighbours.reading, interaction.reading, into: output, rows: size, columns: stride)
      if let words, let dropout {
        let mask = unsafe words.draw(
          into: state.mask.pointer + first * stride / 8, rows: size, firstRow: firstNode + first,
          place: layer, key: dropout)
        Dropout.apply(output.reading, mask: mask, rows: size, columns: stride, into: output)
      }
      unsafe RowNormalization.forward(
        output.reading, rows: size, columns: stride, norms: state.norms.pointer + first,
        into: scored(layer, target).rows(from: first))
    }
  }

  private func apply(
    _ layer: NeuralGraphLayer, _ map: NeuralGraphLayer.Map, _ dense: UnsafePointer<Float>,
    _ input: MutableMatrix, rows: Int, into output: MutableMatrix
  ) {
    unsafe Linear.forward(
      layer.layer(map, dense), rows: rows, input: input.reading, output: output)
    unsafe LeakyRectifiedLinear.forward(
      output, rows: rows, columns: stride, bias: layer.bias(map, dense))
  }

  // MARK: Backward

  /// Starts with the gradients of some propagated rows, which are read until ``finish()``; the others
  /// are zero.
  func begin(_ gradients: KeyedRows) {
    scoredGradients = gradients
    unsafe gradient.pointer.update(repeating: 0, count: gradient.count)
  }

  /// Calls `body` with the number of each propagated row that has a gradient, and with the part of
  /// layer `layer` in the gradient.
  private func forEachScored(_ layer: Int, _ body: (_ row: Int, _ gradient: Matrix) -> Void) {
    let width = (layers.count + 1) * stride
    for index in 0..<scoredGradients.count {
      unsafe body(
        Int(scoredGradients.keys[index]) - firstRow,
        Matrix(scoredGradients.rows + index * width + layer * stride, stride: stride))
    }
  }

  /// Adds what reaches the output of layer `layer` as a part of the propagated rows.
  private func addScored(_ layer: Int, scoredRows: UnsafeMutablePointer<Float>) {
    let (outputs, gradient) = unsafe (scored(layer, scoredRows), matrix(gradient))
    forEachScored(layer) { row, outputGradient in
      unsafe RowNormalization.backward(
        outputs: outputs.rows(from: row).reading, norms: layers[layer - 1].norms.pointer + row,
        outputGradient: outputGradient, rows: 1, columns: stride, into: matrix(product))
      Elementwise.add(
        matrix(product).reading, to: gradient.rows(from: row), rows: 1, columns: stride)
    }
  }

  /// Goes back through layer `layer`: leaves in ``gradient`` what reaches the rows before it
  /// directly, in ``sumGradient`` what reaches the neighbours' means.
  ///
  /// - Parameters:
  ///   - layer: From 1.
  ///   - rows: `(count, stride)`: the rows before it.
  ///   - connections: Those of ``forward(_:rows:_:dense:dropout:into:)``.
  ///   - dense: All dense parameters.
  ///   - scoredRows: The propagated rows.
  ///   - hasDropout: Whether the forward pass drew a mask.
  ///   - denseLeaves: `(S', denseCount)`, added to.
  ///   - denseCount: Floats of a leaf.
  func backward(
    _ layer: Int, rows: UnsafePointer<Float>, _ connections: NodeDropout.SelfConnections?,
    dense: UnsafePointer<Float>, scoredRows: UnsafeMutablePointer<Float>, hasDropout: Bool,
    denseLeaves: UnsafeMutablePointer<Float>, denseCount: Int
  ) {
    let (state, map) = (layers[layer - 1], parameters[layer - 1])
    let selves = unsafe (connections?.values ?? scales).pointer
    unsafe addScored(layer, scoredRows: scoredRows)
    for block in blocks {
      let (first, size) = (block.range.lowerBound, block.range.count)
      let before = unsafe Matrix(rows, stride: stride).rows(from: first)
      let mean = matrix(state.mean).rows(from: first).reading
      let gradient = matrix(gradient).rows(from: first)
      let sumGradient = matrix(sumGradient).rows(from: first)
      let (product, mapGradient) = (matrix(product), matrix(mapGradient))
      if let words, hasDropout {
        let mask = unsafe words.mask(state.mask.pointer + first * stride / 8)
        Dropout.apply(gradient.reading, mask: mask, rows: size, columns: stride, into: gradient)
      }
      Elementwise.scale(gradient.reading, by: 1, into: mapGradient, rows: size, columns: stride)
      LeakyRectifiedLinear.backward(
        outputs: matrix(state.neighbours).rows(from: first).reading, gradients: mapGradient,
        rows: size, columns: stride)
      LeakyRectifiedLinear.backward(
        outputs: matrix(state.interaction).rows(from: first).reading, gradients: gradient,
        rows: size, columns: stride)
      let leaf = unsafe denseLeaves + block.shard * denseCount
      unsafe applyBackward(
        map, .neighbours, dense, leaf, rows: size, input: mean, gradient: mapGradient,
        into: sumGradient)
      Elementwise.multiply(before, mean, into: product, rows: size, columns: stride)
      // What the map passes back takes the place of the other map's gradient.
      unsafe applyBackward(
        map, .interaction, dense, leaf, rows: size, input: product.reading, gradient: gradient,
        into: mapGradient)
      Elementwise.addProduct(
        mapGradient.reading, before, to: sumGradient, rows: size, columns: stride)
      Elementwise.multiply(mapGradient.reading, mean, into: gradient, rows: size, columns: stride)
      unsafe Elementwise.addRows(
        sumGradient.reading, by: selves + first, to: gradient, rows: size, columns: stride)
    }
  }

  private func applyBackward(
    _ layer: NeuralGraphLayer, _ map: NeuralGraphLayer.Map, _ dense: UnsafePointer<Float>,
    _ leaf: UnsafeMutablePointer<Float>, rows: Int, input: Matrix, gradient: MutableMatrix,
    into target: MutableMatrix
  ) {
    unsafe Linear.backward(
      layer.layer(map, dense), rows: rows, input: input, outputGradient: gradient.reading,
      inputGradient: target, gradients: layer.gradients(map, leaf))
  }

  /// Adds what the neighbours pass back, from ``scratch``, to the gradient.
  func addNeighbours() {
    Elementwise.add(matrix(scratch).reading, to: matrix(gradient), rows: count, columns: stride)
  }

  /// Adds what reaches layer 0 as a part of the propagated rows; the gradients of all rows.
  func finish() -> KeyedRows {
    let target = matrix(gradient)
    forEachScored(0) { row, gradient in
      Elementwise.add(gradient, to: target.rows(from: row), rows: 1, columns: stride)
    }
    return unsafe KeyedRows(keys: keys.pointer, rows: gradient.pointer, count: count)
  }
}
