import Kernels
import Sharding

/// Two tables and the batches that visit them in turn, so that rows are as cold as in a run.
///
/// It owns its buffers, whose pointers kernels get while it lives, so its use is safe.
@safe
final class BatchProblem {
  let layout: RowLayout
  let users: RowTable
  let items: RowTable
  let labels: AlignedBuffer<Float>
  let scores: AlignedBuffer<Float>
  let scoreGradients: AlignedBuffer<Float>
  let dense: AlignedBuffer<Float>
  /// `(rows of a batch, stride)`: room for a gradient row per segment.
  let gradients: AlignedBuffer<Float>
  let batches: [Batch]
  private var turn = 0

  /// `batches` batches of `rows` rows over tables of the given numbers of rows.
  init(
    batches count: Int, of rows: Int, users userCount: Int, items itemCount: Int, factors: Int,
    optimizer: RowOptimizer
  ) {
    layout = RowLayout(factors: factors, hasBias: false)
    users = Self.table(layout, userCount, optimizer)
    items = Self.table(layout, itemCount, optimizer)
    labels = AlignedBuffer(count: rows)
    scores = AlignedBuffer(count: rows)
    scoreGradients = AlignedBuffer(count: rows)
    dense = AlignedBuffer(count: WeightedProduct.denseCount(layout))
    gradients = AlignedBuffer(count: rows * layout.stride)
    batches = (0..<count).map { Batch(number: $0, count: rows, users: userCount, items: itemCount) }
    for index in 0..<dense.count { unsafe dense.pointer[index] = 0.5 }
    for index in 0..<gradients.count { unsafe gradients.pointer[index] = Float(index & 15) * 1e-3 }
    for row in 0..<rows {
      unsafe labels.pointer[row] = row.isMultiple(of: 6) ? 0 : 1
      unsafe scores.pointer[row] = Float(row % 17) * 0.25 - 2
      unsafe scoreGradients.pointer[row] = Float(row % 13) * 1e-4 - 6e-4
    }
  }

  /// The batch whose turn it is.
  func next() -> Batch {
    turn = turn + 1 == batches.count ? 0 : turn + 1
    return batches[turn]
  }

  /// Rows of a batch.
  var rows: Double { Double(batches[0].count) }
  /// Users of a batch, each once, on average.
  var userRows: Double { mean(\.userSegments.segmentCount) }
  /// Items of a batch, each once, on average.
  var itemRows: Double { mean(\.itemSegments.segmentCount) }
  /// Bytes of a row.
  var rowBytes: Double { Double(4 * layout.stride) }

  func userSide(_ batch: Batch) -> WeightedProduct.Side {
    unsafe WeightedProduct.Side(
      base: users.row(0), spacing: users.spacing, index: batch.userIndex.pointer)
  }

  func itemSide(_ batch: Batch) -> WeightedProduct.Side {
    unsafe WeightedProduct.Side(
      base: items.row(0), spacing: items.spacing, index: batch.itemIndex.pointer)
  }

  private func mean(_ count: (Batch) -> Int) -> Double {
    Double(batches.reduce(0) { $0 + count($1) }) / Double(batches.count)
  }

  private static func table(
    _ layout: RowLayout, _ rows: Int, _ optimizer: RowOptimizer
  ) -> RowTable {
    let table = RowTable(layout: layout, held: 0..<rows, owned: 0..<rows, optimizer: optimizer)
    for row in 0..<rows {
      let values = unsafe table.row(row)
      for column in 0..<layout.factors { unsafe values[column] = Float((row ^ column) & 15) * 0.01 }
    }
    return table
  }
}
