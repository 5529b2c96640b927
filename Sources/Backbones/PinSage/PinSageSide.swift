import Kernels
import Sharding

/// The layers of PinSage on one side: this rank's users, or the item rows that it owns.
///
/// Dense work runs block by block; see ``RowBlock``. Back through the head and the last layer it goes
/// for those rows only that have a gradient.
@safe
final class PinSageSide {
  let count: Int
  private let stride: Int
  private let shards: [Range<Int>]
  private let blocks: [RowBlock]
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
  /// `(count, 2F)`: the gradient of ``joined`` of the layer at hand.
  private let joinedGradient: AlignedBuffer<Float>
  private let chosen: PinSageRows

  /// The dense gradients of this rank's shards.
  @safe
  struct Leaves {
    let pointer: UnsafeMutablePointer<Float>
    let count: Int

    init(pointer: UnsafeMutablePointer<Float>, count: Int) {
      unsafe self.pointer = unsafe pointer
      self.count = count
    }

    func leaf(of shard: Int) -> UnsafeMutablePointer<Float> { unsafe pointer + shard * count }
  }

  /// - Parameters:
  ///   - shards: The rows of each shard, from 0.
  ///   - rows: Their numbers in the table.
  ///   - maps: The dense parameters.
  ///   - stride: `F`.
  init(shards: [Range<Int>], rows: Range<Int>, maps: PinSageMap.Model, stride: Int) {
    self.shards = shards
    blocks = RowBlock.cut(shards)
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
    joinedGradient = AlignedBuffer(count: 2 * size)
    chosen = PinSageRows(stride: stride)
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
    let target = unsafe MutableMatrix(messages, stride: stride)
    for block in blocks {
      unsafe apply(
        maps.neighbours[layer], wide(joined[layer]), dense, block.range, into: target)
    }
  }

  /// The place of the neighbours' means of layer `layer`.
  func means(_ layer: Int) -> MutableMatrix { wide(joined[layer]).columns(from: stride) }

  /// Computes layer `layer` from the rows before it and the means.
  func forward(_ layer: Int, dense: UnsafePointer<Float>) {
    let (output, target) = (narrow(outputs[layer]), rows(after: layer))
    for block in blocks {
      let first = block.range.lowerBound
      unsafe apply(maps.outputs[layer], wide(joined[layer]), dense, block.range, into: output)
      unsafe RowNormalization.forward(
        output.rows(from: first).reading, rows: block.range.count, columns: stride,
        norms: norms[layer].pointer + first, into: target.rows(from: first))
    }
  }

  /// Writes the propagated rows, `(count, F)`.
  func writeHead(dense: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    let target = unsafe MutableMatrix(target, stride: stride)
    for block in blocks {
      let first = block.range.lowerBound
      unsafe apply(maps.headHidden, narrow(last), dense, block.range, into: narrow(hidden))
      unsafe Linear.forward(
        maps.headOutput.layer(dense), rows: block.range.count,
        input: narrow(hidden).rows(from: first).reading, output: target.rows(from: first))
    }
  }

  private func apply(
    _ map: PinSageMap, _ input: MutableMatrix, _ dense: UnsafePointer<Float>, _ rows: Range<Int>,
    into output: MutableMatrix
  ) {
    let target = output.rows(from: rows.lowerBound)
    unsafe Linear.forward(
      map.layer(dense), rows: rows.count, input: input.rows(from: rows.lowerBound).reading,
      output: target)
    unsafe RectifiedLinear.forward(
      target, rows: rows.count, columns: stride, bias: map.bias(dense))
  }

  // MARK: Backward

  /// Goes from the gradients of some propagated rows, the others' being zero, through the head and the
  /// last layer.
  func backwardLast(_ gradients: KeyedRows, dense: UnsafePointer<Float>, _ leaves: Leaves) {
    unsafe joinedGradient.pointer.update(repeating: 0, count: joinedGradient.count)
    let layer = outputs.count - 1
    unsafe RowBlock.forEach(
      of: gradients.keys, count: gradients.count, shards: shards, firstRow: firstRow
    ) { block in
      unsafe chosen.choose(gradients.keys + block.range.lowerBound, block.range.count, firstRow)
      let leaf = unsafe leaves.leaf(of: block.shard)
      let given = unsafe Matrix(
        gradients.rows + block.range.lowerBound * stride, stride: stride)
      let pass = unsafe PinSagePass(rows: block.range.count, dense: dense, leaf: leaf)
      let (first, second) = (chosen.first, chosen.second)
      let hidden = chosen.gather(narrow(hidden), into: chosen.values)
      pass.backward(maps.headOutput, input: hidden, given, into: first)
      RectifiedLinear.backward(
        outputs: hidden, gradients: first, rows: pass.rows, columns: stride)
      let last = chosen.gather(narrow(last), into: chosen.values)
      pass.backward(maps.headHidden, input: last, first.reading, into: second)
      unsafe RowNormalization.backward(
        outputs: last, norms: chosen.gather(norms[layer]), outputGradient: second.reading,
        rows: pass.rows, columns: stride, into: second)
      RectifiedLinear.backward(
        outputs: chosen.gather(narrow(outputs[layer]), into: chosen.values), gradients: second,
        rows: pass.rows, columns: stride)
      let joined = chosen.gather(wide(joined[layer]), width: 2, into: chosen.wideValues)
      pass.backward(
        maps.outputs[layer], input: joined, second.reading, into: chosen.wideGradient)
      chosen.scatter(chosen.wideGradient.reading, width: 2, into: wide(joinedGradient))
    }
  }

  /// Goes back through layer `layer`, which is not the last, up to the rows before it and the
  /// neighbours' means.
  func backward(_ layer: Int, dense: UnsafePointer<Float>, _ leaves: Leaves) {
    for block in blocks {
      let (first, size) = (block.range.lowerBound, block.range.count)
      let gradient = narrow(gradient).rows(from: first)
      unsafe RowNormalization.backward(
        outputs: rows(after: layer).rows(from: first).reading, norms: norms[layer].pointer + first,
        outputGradient: gradient.reading, rows: size, columns: stride, into: gradient)
      RectifiedLinear.backward(
        outputs: narrow(outputs[layer]).rows(from: first).reading, gradients: gradient, rows: size,
        columns: stride)
      let pass = unsafe PinSagePass(rows: size, dense: dense, leaf: leaves.leaf(of: block.shard))
      pass.backward(
        maps.outputs[layer], input: wide(joined[layer]).rows(from: first).reading,
        gradient.reading, into: wide(joinedGradient).rows(from: first))
    }
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
    let (messages, gradients) = unsafe (
      Matrix(messages, stride: stride), MutableMatrix(messageGradient, stride: stride)
    )
    for block in blocks {
      let (first, size) = (block.range.lowerBound, block.range.count)
      let (received, target) = (
        gradients.rows(from: first), narrow(gradient).rows(from: first)
      )
      RectifiedLinear.backward(
        outputs: messages.rows(from: first), gradients: received, rows: size, columns: stride)
      let pass = unsafe PinSagePass(rows: size, dense: dense, leaf: leaves.leaf(of: block.shard))
      pass.backward(
        maps.neighbours[layer], input: wide(joined[layer]).rows(from: first).reading,
        received.reading, into: target)
      Elementwise.add(
        wide(joinedGradient).rows(from: first).reading, to: target, rows: size, columns: stride)
    }
  }

  /// The gradients of all rows.
  var gradients: KeyedRows {
    unsafe KeyedRows(keys: keys.pointer, rows: gradient.pointer, count: count)
  }
}
