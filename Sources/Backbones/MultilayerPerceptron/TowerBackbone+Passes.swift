import Kernels
import Sharding

/// The passes over the microbatch of one shard.
extension TowerBackbone {
  /// Floats of a row of ``pairs``.
  private var pairStride: Int { 2 * (productFactors + towerFactors) }

  /// The rows of ``pairs`` from `row` on.
  private func pairs(_ row: Int) -> MutableMatrix {
    unsafe MutableMatrix(pairs.pointer, stride: pairStride).rows(from: row)
  }

  /// The rows of ``features`` from `row` on.
  private func features(_ row: Int) -> MutableMatrix {
    unsafe MutableMatrix(features.pointer, stride: tower.featureCount).rows(from: row)
  }

  /// The outputs of a layer from `row` on.
  private func outputs(_ layer: Int, _ row: Int) -> MutableMatrix {
    guard layer < activations.count else { return features(row).columns(from: productFactors) }
    return unsafe MutableMatrix(activations[layer].pointer, stride: tower.layers[layer].outputs)
      .rows(from: row)
  }

  /// The inputs of a layer from `row` on.
  private func inputs(_ layer: Int, _ row: Int) -> Matrix {
    layer > 0
      ? outputs(layer - 1, row).reading : pairs(row).columns(from: productFactors).reading
  }

  private func output(_ dense: UnsafePointer<Float>) -> Linear.Layer {
    unsafe Linear.Layer(
      inputs: tower.featureCount, outputs: 1,
      weight: Matrix(dense + tower.outputOffset, stride: tower.featureCount),
      bias: dense + tower.outputBiasOffset)
  }

  /// Floats of a row of ``descending``.
  var widestGradient: Int { max(tower.featureCount, tower.layers[0].outputs) }

  /// Makes room for what the rows of a batch leave behind.
  func makeRoom(_ count: Int) {
    _ = unsafe pairs.reserve(count * pairStride)
    _ = unsafe features.reserve(count * tower.featureCount)
    for layer in activations.indices {
      _ = unsafe activations[layer].reserve(count * tower.layers[layer].outputs)
    }
  }

  func forward(
    _ rows: Range<Int>, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    let (first, count) = (rows.lowerBound, rows.count)
    guard count > 0 else { return }
    gather(rows, parameters)
    for (index, layer) in tower.layers.enumerated() {
      let output = outputs(index, first)
      unsafe Linear.forward(
        layer.linear(parameters.dense), rows: count, input: inputs(index, first), output: output)
      unsafe RectifiedLinear.forward(
        output, rows: count, columns: layer.outputs, bias: parameters.dense + layer.biasOffset)
    }
    if productFactors > 0 {
      Elementwise.multiply(
        pairs(first).reading, itemProductColumns(pairs(first)).reading, into: features(first),
        rows: count, columns: productFactors)
    }
    unsafe Linear.forward(
      output(parameters.dense), rows: count, input: features(first).reading,
      output: MutableMatrix(scores + first, stride: 1))
  }

  /// Copies both rows of each pair to where the tower and the product read them.
  private func gather(_ rows: Range<Int>, _ parameters: BatchParameters) {
    let first = rows.lowerBound
    let target = pairs(first)
    let (users, items) = (parameters.users.table, parameters.items.table)
    unsafe RowGather.gather(
      users, index: parameters.users.index + first, rows: rows.count,
      columns: productFactors + towerFactors, into: target)
    unsafe RowGather.gather(
      items.columns(from: productFactors), index: parameters.items.index + first,
      rows: rows.count, columns: towerFactors, into: itemTowerColumns(target))
    guard productFactors > 0 else { return }
    unsafe RowGather.gather(
      items, index: parameters.items.index + first, rows: rows.count, columns: productFactors,
      into: itemProductColumns(target))
  }

  private func itemTowerColumns(_ pairs: MutableMatrix) -> MutableMatrix {
    pairs.columns(from: productFactors + towerFactors)
  }

  private func itemProductColumns(_ pairs: MutableMatrix) -> MutableMatrix {
    pairs.columns(from: productFactors + 2 * towerFactors)
  }

  /// Overwrites the pairs by their gradients, and `leaf` by those of the dense parameters, which are
  /// zero for a microbatch without rows.
  func backward(
    _ rows: Range<Int>, _ dense: UnsafePointer<Float>, scoreGradients: UnsafePointer<Float>,
    leaf: UnsafeMutablePointer<Float>
  ) {
    let (first, count) = (rows.lowerBound, rows.count)
    for buffer in descending {
      _ = unsafe buffer.reserve(count * widestGradient)
    }
    let featureGradients = unsafe MutableMatrix(
      descending[0].pointer, stride: tower.featureCount)
    unsafe (leaf + tower.outputBiasOffset).update(repeating: 0, count: RowLayout.lanes)
    unsafe Linear.backward(
      output(dense), rows: count, input: features(first).reading,
      outputGradient: Matrix(scoreGradients + first, stride: 1), inputGradient: featureGradients,
      gradients: Linear.Gradients(
        weight: MutableMatrix(leaf + tower.outputOffset, stride: tower.featureCount),
        bias: leaf + tower.outputBiasOffset))
    if productFactors > 0 { productBackward(rows, featureGradients.reading) }
    unsafe descend(
      first, count, dense, from: featureGradients.columns(from: productFactors), leaf: leaf)
  }

  private func productBackward(_ rows: Range<Int>, _ gradients: Matrix) {
    let users = pairs(rows.lowerBound)
    let items = itemProductColumns(users)
    let aside = unsafe MutableMatrix(descending[1].pointer, stride: productFactors)
    Elementwise.multiply(
      gradients, items.reading, into: aside, rows: rows.count, columns: productFactors)
    Elementwise.multiply(
      gradients, users.reading, into: items, rows: rows.count, columns: productFactors)
    Elementwise.scale(
      aside.reading, by: 1, into: users, rows: rows.count, columns: productFactors)
  }

  /// From the gradients of the last layer's outputs to those of the first layer's inputs, which take
  /// the place of the inputs when these are needed no more.
  private func descend(
    _ first: Int, _ count: Int, _ dense: UnsafePointer<Float>, from top: MutableMatrix,
    leaf: UnsafeMutablePointer<Float>
  ) {
    var gradients = top
    for index in tower.layers.indices.reversed() {
      let layer = tower.layers[index]
      RectifiedLinear.backward(
        outputs: outputs(index, first).reading, gradients: gradients, rows: count,
        columns: layer.outputs)
      unsafe Linear.backward(
        layer.linear(dense), rows: count, input: inputs(index, first),
        outputGradient: gradients.reading, inputGradient: nil, gradients: layer.gradients(leaf))
      let below =
        index > 0
        ? unsafe MutableMatrix(
          descending[(tower.layers.count - index) % 2].pointer, stride: layer.inputs)
        : pairs(first).columns(from: productFactors)
      unsafe MatrixProduct.multiply(
        rows: count, columns: layer.inputs, inner: layer.outputs, gradients.reading,
        Matrix(dense + layer.weightOffset, stride: layer.inputs), into: below)
      gradients = below
    }
  }

  /// Adds the decay of the pairs to their gradients, which have taken their place.
  func add(_ decay: BatchDecay, of batch: RowBatch, _ parameters: BatchParameters) {
    for row in 0..<batch.count {
      let target = pairs(row)
      let user = unsafe parameters.users.table.rows(from: Int(parameters.users.index[row]))
      let item = unsafe parameters.items.table.rows(from: Int(parameters.items.index[row]))
      unsafe Elementwise.add(
        user, factor: decay.users[row], to: target, rows: 1, columns: userLayout.stride)
      unsafe Elementwise.add(
        item.columns(from: productFactors), factor: decay.items[row],
        to: itemTowerColumns(target), rows: 1, columns: towerFactors)
      guard productFactors > 0 else { continue }
      unsafe Elementwise.add(
        item, factor: decay.items[row], to: itemProductColumns(target), rows: 1,
        columns: productFactors)
    }
  }

  /// Adds the gradients of the pairs for each row of the tables.
  func scatter(_ batch: RowBatch, into gradients: BatchGradients) {
    let (stride, width) = (userLayout.stride, productFactors + towerFactors)
    let source = pairs(0)
    unsafe RowScatter.addUsers(
      source.reading, columns: width, segments: gradients.userSegments,
      into: MutableMatrix(gradients.userRows.pointer, stride: stride))
    addItems(
      itemTowerColumns(source), columns: towerFactors, to: productFactors, batch, gradients)
    guard productFactors > 0 else { return }
    addItems(itemProductColumns(source), columns: productFactors, to: 0, batch, gradients)
  }

  private func addItems(
    _ source: MutableMatrix, columns: Int, to column: Int, _ batch: RowBatch,
    _ gradients: BatchGradients
  ) {
    RowScatter.addItems(
      source.reading, columns: columns, segments: gradients.itemSegments, runs: batch.runs,
      ordered: gradients.isOrdered, scratch: gradients.scratch, partials: gradients.itemPartials,
      column: column)
  }
}
