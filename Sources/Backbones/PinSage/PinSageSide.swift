import Kernels
import Sharding

/// The layers of PinSage on one side: this rank's users, or the item rows that it owns.
///
/// Dense products run shard by shard, so their shapes depend on the dataset only.
@safe
final class PinSageSide {
  let count: Int
  private let stride: Int
  private let shards: [Range<Int>]
  private let firstRow: Int
  private let maps: PinSageMap.Model
  private let keys: AlignedBuffer<UInt32>
  /// `(count, 2F)` of each layer: the rows before it, and the neighbours' means.
  private let joined: [AlignedBuffer<Float>]
  /// `(count, F)` of each layer: its rows before they are normalised, and their lengths.
  private let outputs: [AlignedBuffer<Float>]
  private let norms: [AlignedBuffer<Float>]
  /// `(count, F)`: the rows of the last layer, and the head's hidden ones.
  private let last: AlignedBuffer<Float>
  private let hidden: AlignedBuffer<Float>
  /// `(count, F)`: the gradient of the rows at hand; in the end that of the table's rows.
  private let gradient: AlignedBuffer<Float>
  private let scratch: AlignedBuffer<Float>
  /// `(count, 2F)`: the gradient of ``joined`` of the layer at hand.
  private let joinedGradient: AlignedBuffer<Float>

  /// The dense gradients of this rank's shards.
  @safe
  struct Leaves {
    let pointer: UnsafeMutablePointer<Float>
    let count: Int

    init(pointer: UnsafeMutablePointer<Float>, count: Int) {
      unsafe self.pointer = unsafe pointer
      self.count = count
    }
  }

  /// - Parameters:
  ///   - shards: The rows of each shard, from 0.
  ///   - rows: Their numbers in the table.
  ///   - maps: The dense parameters.
  ///   - stride: `F`.
  init(shards: [Range<Int>], rows: Range<Int>, maps: PinSageMap.Model, stride: Int) {
    self.shards = shards
    self.maps = maps
    self.stride = stride
    count = rows.count
    firstRow = rows.lowerBound
    let size = rows.count * stride
    joined = maps.outputs.map { _ in AlignedBuffer(count: 2 * size) }
    outputs = maps.outputs.map { _ in AlignedBuffer(count: size) }
    norms = maps.outputs.map { _ in AlignedBuffer(count: rows.count) }
    last = AlignedBuffer(count: size)
    hidden = AlignedBuffer(count: size)
    gradient = AlignedBuffer(count: size)
    scratch = AlignedBuffer(count: size)
    joinedGradient = AlignedBuffer(count: 2 * size)
    keys = AlignedBuffer(count: rows.count)
    for (index, row) in rows.enumerated() { unsafe keys.pointer[index] = UInt32(row) }
  }

  private func narrow(_ buffer: AlignedBuffer<Float>) -> MutableMatrix {
    unsafe MutableMatrix(buffer.pointer, stride: stride)
  }

  private func wide(_ buffer: AlignedBuffer<Float>) -> MutableMatrix {
    unsafe MutableMatrix(buffer.pointer, stride: 2 * stride)
  }

  /// The rows after layer `layer`, from 0.
  private func rows(after layer: Int) -> MutableMatrix {
    layer + 1 < joined.count ? wide(joined[layer + 1]) : narrow(last)
  }

  // MARK: Forward

  /// Starts with the rows of the table.
  func begin(_ table: UnsafePointer<Float>) {
    unsafe Elementwise.scale(
      Matrix(table, stride: stride), by: 1, into: wide(joined[0]), rows: count, columns: stride)
  }

  /// Writes what the rows before layer `layer` tell their neighbours, `(count, F)`.
  func writeMessages(
    _ layer: Int, dense: UnsafePointer<Float>, into messages: UnsafeMutablePointer<Float>
  ) {
    unsafe apply(
      maps.neighbours[layer], wide(joined[layer]), dense,
      into: MutableMatrix(messages, stride: stride))
  }

  /// The place of the neighbours' means of layer `layer`.
  func means(_ layer: Int) -> MutableMatrix { wide(joined[layer]).columns(from: stride) }

  /// Computes layer `layer` from the rows before it and the means.
  func forward(_ layer: Int, dense: UnsafePointer<Float>) {
    unsafe apply(maps.outputs[layer], wide(joined[layer]), dense, into: narrow(outputs[layer]))
    unsafe RowNormalization.forward(
      narrow(outputs[layer]).reading, rows: count, columns: stride, norms: norms[layer].pointer,
      into: rows(after: layer))
  }

  /// Writes the propagated rows, `(count, F)`.
  func writeHead(dense: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    unsafe apply(maps.headHidden, narrow(last), dense, into: narrow(hidden))
    for shard in shards {
      unsafe Linear.forward(
        maps.headOutput.layer(dense), rows: shard.count,
        input: narrow(hidden).rows(from: shard.lowerBound).reading,
        output: MutableMatrix(target, stride: stride).rows(from: shard.lowerBound))
    }
  }

  private func apply(
    _ map: PinSageMap, _ input: MutableMatrix, _ dense: UnsafePointer<Float>,
    into output: MutableMatrix
  ) {
    for shard in shards {
      let target = output.rows(from: shard.lowerBound)
      unsafe Linear.forward(
        map.layer(dense), rows: shard.count, input: input.rows(from: shard.lowerBound).reading,
        output: target)
      unsafe RectifiedLinear.forward(
        target, rows: shard.count, columns: stride, bias: map.bias(dense))
    }
  }

  // MARK: Backward

  /// Goes from the gradients of some propagated rows, the others' being zero, to the last layer.
  func beginBackward(_ gradients: KeyedRows, dense: UnsafePointer<Float>, _ leaves: Leaves) {
    unsafe gradient.pointer.update(repeating: 0, count: gradient.count)
    for index in 0..<gradients.count {
      let row = unsafe Int(gradients.keys[index]) - firstRow
      unsafe (gradient.pointer + row * stride).update(
        from: gradients.rows + index * stride, count: stride)
    }
    unsafe applyBackward(
      maps.headOutput, input: narrow(hidden), narrow(gradient), dense, leaves, into: narrow(scratch)
    )
    RectifiedLinear.backward(
      outputs: narrow(hidden).reading, gradients: narrow(scratch), rows: count, columns: stride)
    unsafe applyBackward(
      maps.headHidden, input: narrow(last), narrow(scratch), dense, leaves, into: narrow(gradient))
  }

  /// Goes back through layer `layer`, up to the rows before it and the neighbours' means.
  func backward(_ layer: Int, dense: UnsafePointer<Float>, _ leaves: Leaves) {
    unsafe RowNormalization.backward(
      outputs: rows(after: layer).reading, norms: norms[layer].pointer,
      outputGradient: narrow(gradient).reading, rows: count, columns: stride,
      into: narrow(gradient))
    RectifiedLinear.backward(
      outputs: narrow(outputs[layer]).reading, gradients: narrow(gradient), rows: count,
      columns: stride)
    unsafe applyBackward(
      maps.outputs[layer], input: wide(joined[layer]), narrow(gradient), dense, leaves,
      into: wide(joinedGradient))
  }

  /// `(count, F)`: the gradients of the neighbours' means.
  var meanGradients: Matrix { wide(joinedGradient).columns(from: stride).reading }

  /// Takes over what reached the rows themselves.
  func passBack() {
    Elementwise.scale(
      wide(joinedGradient).reading, by: 1, into: narrow(gradient), rows: count, columns: stride)
  }

  /// As ``passBack()``, and what reached them by their messages.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - messages: `(count, F)`: of the forward pass.
  ///   - messageGradient: `(count, F)`, overwritten.
  ///   - dense: All dense parameters.
  ///   - leaves: Dense gradients, added to.
  func passBack(
    _ layer: Int, messages: UnsafePointer<Float>,
    gradient messageGradient: UnsafeMutablePointer<Float>, dense: UnsafePointer<Float>,
    _ leaves: Leaves
  ) {
    let gradients = unsafe MutableMatrix(messageGradient, stride: stride)
    unsafe RectifiedLinear.backward(
      outputs: Matrix(messages, stride: stride), gradients: gradients, rows: count,
      columns: stride)
    unsafe applyBackward(
      maps.neighbours[layer], input: wide(joined[layer]), gradients, dense, leaves,
      into: narrow(gradient))
    Elementwise.add(
      wide(joinedGradient).reading, to: narrow(gradient), rows: count, columns: stride)
  }

  private func applyBackward(
    _ map: PinSageMap, input: MutableMatrix, _ outputGradient: MutableMatrix,
    _ dense: UnsafePointer<Float>, _ leaves: Leaves, into target: MutableMatrix
  ) {
    for (index, shard) in shards.enumerated() {
      unsafe Linear.backward(
        map.layer(dense), rows: shard.count, input: input.rows(from: shard.lowerBound).reading,
        outputGradient: outputGradient.rows(from: shard.lowerBound).reading,
        inputGradient: target.rows(from: shard.lowerBound),
        gradients: map.gradients(leaves.pointer + index * leaves.count))
    }
  }

  /// The gradients of all rows.
  var gradients: KeyedRows {
    unsafe KeyedRows(keys: keys.pointer, rows: gradient.pointer, count: count)
  }
}
