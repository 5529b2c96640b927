import Backbones
import Kernels
import Sharding

/// A small backbone with dense layers, to show what the protocol has room for:
///
///     x = [p_u; q_i]      h = max(0, x·W + b)      score = h·v + c
///
/// `F` factors a side, `H` hidden units. One matrix product per shard and layer, so that shapes do
/// not depend on the ranks.
final class Perceptron: Backbone {
  private let factors: Int
  private let hidden: Int
  private let input = ScratchBuffer<Float>()
  private let activation = ScratchBuffer<Float>()
  private let back = ScratchBuffer<Float>()
  private let inputBack = ScratchBuffer<Float>()

  /// - Parameters:
  ///   - factors: A multiple of 8.
  ///   - hidden: A multiple of 8.
  init(factors: Int, hidden: Int) {
    self.factors = factors
    self.hidden = hidden
    MatrixProduct.useOneThread()
  }

  private var biasOffset: Int { 2 * factors * hidden }
  private var outputOffset: Int { biasOffset + hidden }

  var userLayout: RowLayout { RowLayout(factors: factors, hasBias: false) }
  var itemLayout: RowLayout { userLayout }
  var denseCount: Int { outputOffset + hidden + 8 }
  var keepsIntermediates: Bool { true }
  var denseTensors: [DenseTensor] {
    [
      DenseTensor(name: "hidden.weight", shape: [2 * factors, hidden], offset: 0),
      DenseTensor(name: "hidden.bias", shape: [hidden], offset: biasOffset),
      DenseTensor(name: "output.weight", shape: [hidden], offset: outputOffset),
      DenseTensor(name: "output.bias", shape: [1], offset: outputOffset + hidden),
    ]
  }

  func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    for row in table.written {
      var draws = Draws(seed: seed << 32 + UInt64(firstRow + row))
      for column in 0..<factors { unsafe table.row(row)[column] = 0.25 * draws.float() }
    }
  }

  func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    initializeUsers(table, firstRow: firstRow, seed: ~seed)
  }

  func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    var draws = Draws(seed: seed)
    for index in 0..<biasOffset { unsafe dense[index] = 0.5 * draws.float() }
    for index in outputOffset..<outputOffset + hidden { unsafe dense[index] = 0.5 * draws.float() }
  }

  func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    let width = 2 * factors
    let x = unsafe input.reserve(batch.count * width)
    let h = unsafe activation.reserve(batch.count * hidden)
    for row in 0..<batch.count {
      let (user, item) = (parameters.users, parameters.items)
      unsafe (x + row * width).update(
        from: user.base + Int(user.index[row]) * factors, count: factors)
      unsafe (x + row * width + factors).update(
        from: item.base + Int(item.index[row]) * factors, count: factors)
    }
    let dense = unsafe parameters.dense
    for shard in 0..<batch.runs.count {
      let rows = unsafe Int(batch.runs.starts[shard])..<Int(batch.runs.starts[shard + 1])
      unsafe MatrixProduct.multiply(
        rows: rows.count, columns: hidden, inner: width, x + rows.lowerBound * width, dense,
        into: h + rows.lowerBound * hidden)
      for row in rows {
        var score = unsafe dense[outputOffset + hidden]
        for unit in 0..<hidden {
          let value = unsafe max(0, h[row * hidden + unit] + dense[biasOffset + unit])
          unsafe h[row * hidden + unit] = value
          unsafe score += value * dense[outputOffset + unit]
        }
        unsafe scores[row] = score
      }
    }
  }

  func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    let width = 2 * factors
    let dense = unsafe parameters.dense
    let (x, h) = unsafe (input.pointer, activation.pointer)
    let dh = unsafe back.reserve(batch.count * hidden)
    let dx = unsafe inputBack.reserve(batch.count * width)
    for shard in 0..<batch.runs.count {
      let rows = unsafe Int(batch.runs.starts[shard])..<Int(batch.runs.starts[shard + 1])
      let leaf = unsafe gradients.denseLeaves + shard * denseCount
      unsafe leaf.update(repeating: 0, count: denseCount)
      for row in rows {
        let delta = unsafe scoreGradients[row]
        unsafe leaf[outputOffset + hidden] += delta
        for unit in 0..<hidden {
          let value = unsafe h[row * hidden + unit]
          let slope = unsafe value > 0 ? delta * dense[outputOffset + unit] : 0
          unsafe dh[row * hidden + unit] = slope
          unsafe leaf[outputOffset + unit] += delta * value
          unsafe leaf[biasOffset + unit] += slope
        }
      }
      let (place, hiddenPlace) = (rows.lowerBound * width, rows.lowerBound * hidden)
      unsafe MatrixProduct.multiply(
        rows: width, columns: hidden, inner: rows.count, x + place, dh + hiddenPlace, into: leaf,
        transposeA: true)
      unsafe MatrixProduct.multiply(
        rows: rows.count, columns: width, inner: hidden, dh + hiddenPlace, dense,
        into: dx + place, transposeB: true)
    }
    unsafe sumUsers(dx, gradients)
    unsafe sumItems(dx, batch.runs, gradients)
  }

  private func sumUsers(_ dx: UnsafePointer<Float>, _ gradients: BatchGradients) {
    let segments = gradients.userSegments
    for segment in 0..<segments.segmentCount {
      let row = unsafe gradients.userRows.pointer + segment * factors
      unsafe add(dx, segments, segments.segmentRange(segment), to: row)
    }
  }

  /// One leaf per item and shard, added along the tree inside each block.
  private func sumItems(
    _ dx: UnsafePointer<Float>, _ runs: ShardRuns, _ gradients: BatchGradients
  ) {
    let (segments, partials) = (gradients.itemSegments, gradients.itemPartials)
    partials.count = 0
    for segment in 0..<segments.segmentCount {
      var leaves: [(shard: UInt32, block: UInt32, row: [Float])] = []
      var rest = segments.segmentRange(segment)
      for shard in 0..<runs.count {
        let start = rest.lowerBound
        var end = start
        while end < rest.upperBound,
          unsafe segments.order.pointer[end] < runs.starts[shard + 1]
        { end += 1 }
        rest = end..<rest.upperBound
        guard end > start else { continue }
        var leaf = [Float](repeating: 0, count: factors)
        unsafe leaf.withUnsafeMutableBufferPointer { leaf in
          guard let base = leaf.baseAddress else { return }
          unsafe add(dx + factors, segments, start..<end, to: base)
        }
        unsafe leaves.append((runs.shards[shard], runs.blocks[shard], leaf))
      }
      for block in Set(leaves.map(\.block)).sorted() {
        let inside = leaves.filter { $0.block == block }.map { (Int($0.shard), $0.row) }
        // The root of any tree over the block's shards adds the same pairs.
        let sum = treeSum(inside, bits: 12)
        unsafe partials.keys.pointer[partials.count] = segments.segmentKeys.pointer[segment]
        unsafe partials.blocks.pointer[partials.count] = block
        for column in 0..<factors {
          unsafe partials.rows.pointer[partials.count * factors + column] = sum[column]
        }
        partials.count += 1
      }
    }
  }

  private func treeSum(_ leaves: [(shard: Int, row: [Float])], bits: Int) -> [Float] {
    guard leaves.count > 1, bits > 0 else { return leaves[0].row }
    let left = leaves.filter { $0.shard >> (bits - 1) & 1 == 0 }
    let right = leaves.filter { $0.shard >> (bits - 1) & 1 == 1 }
    if left.isEmpty || right.isEmpty {
      return treeSum(left.isEmpty ? right : left, bits: bits - 1)
    }
    return zip(treeSum(left, bits: bits - 1), treeSum(right, bits: bits - 1)).map { $0 + $1 }
  }

  /// `target ← Σ` of one side's columns of `dx` over some sorted positions.
  private func add(
    _ dx: UnsafePointer<Float>, _ segments: SegmentSort, _ places: Range<Int>,
    to target: UnsafeMutablePointer<Float>
  ) {
    unsafe target.update(repeating: 0, count: factors)
    for place in places {
      let row = unsafe dx + Int(segments.order.pointer[place]) * 2 * factors
      for column in 0..<factors { unsafe target[column] += row[column] }
    }
  }
}

extension SegmentSort {
  /// Where a segment lies in ``order``.
  func segmentRange(_ segment: Int) -> Range<Int> {
    unsafe Int(segmentStarts.pointer[segment])..<Int(segmentStarts.pointer[segment + 1])
  }
}
