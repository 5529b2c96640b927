import Kernels
import Randomness
import Sharding

/// A batch of rows over two tables, as a training step sees it: what the kernels are run on.
///
/// Users and items are drawn with a popularity that falls towards the end of the table, since equal
/// draws would leave too few rows per segment. It owns its buffers, whose pointers kernels get
/// while it lives, so its use is safe.
@safe
final class BatchProblem {
  static let shards = 16

  let batch: Int
  let layout: RowLayout
  let users: RowTable
  let items: RowTable
  let userIndex: AlignedBuffer<UInt32>
  let itemIndex: AlignedBuffer<UInt32>
  let labels: AlignedBuffer<Float>
  let scores: AlignedBuffer<Float>
  let scoreGradients: AlignedBuffer<Float>
  let dense: AlignedBuffer<Float>
  let userSegments: SegmentSort
  let itemSegments: SegmentSort
  /// `(batch, stride)`: room for a gradient row per segment.
  let gradients: AlignedBuffer<Float>
  private let starts: AlignedBuffer<UInt32>
  private let shardNumbers: AlignedBuffer<UInt32>
  private let blocks: AlignedBuffer<UInt32>

  /// A batch of `batch` rows over tables of the given numbers of rows.
  init(
    batch: Int, users userCount: Int, items itemCount: Int, factors: Int,
    optimizer: RowOptimizer = .adam
  ) {
    self.batch = batch
    layout = RowLayout(factors: factors, hasBias: false)
    users = Self.table(layout, userCount, optimizer)
    items = Self.table(layout, itemCount, optimizer)
    userIndex = AlignedBuffer(count: batch)
    itemIndex = AlignedBuffer(count: batch)
    labels = AlignedBuffer(count: batch)
    scores = AlignedBuffer(count: batch)
    scoreGradients = AlignedBuffer(count: batch)
    dense = AlignedBuffer(count: WeightedProduct.denseCount(layout))
    userSegments = SegmentSort(capacity: batch)
    itemSegments = SegmentSort(capacity: batch)
    gradients = AlignedBuffer(count: batch * layout.stride)
    starts = AlignedBuffer(count: Self.shards + 1)
    shardNumbers = AlignedBuffer(count: Self.shards)
    blocks = AlignedBuffer(count: Self.shards)
    fillRows(userCount, itemCount)
    for index in 0..<dense.count { unsafe dense.pointer[index] = 0.5 }
    unsafe userSegments.sort(userIndex.pointer, count: batch, bound: userCount)
    unsafe itemSegments.sort(itemIndex.pointer, count: batch, bound: itemCount)
    for index in 0..<gradients.count { unsafe gradients.pointer[index] = Float(index & 15) * 1e-3 }
  }

  /// Bytes of a row.
  var rowBytes: Double { Double(4 * layout.stride) }
  /// Whether a row's user or item is the row of a table.
  var userSide: WeightedProduct.Side {
    unsafe WeightedProduct.Side(base: users.row(0), index: userIndex.pointer)
  }
  var itemSide: WeightedProduct.Side {
    unsafe WeightedProduct.Side(base: items.row(0), index: itemIndex.pointer)
  }
  /// One rank that owns all shards: a single block.
  var runs: ShardRuns {
    unsafe ShardRuns(
      starts: starts.pointer, shards: shardNumbers.pointer, blocks: blocks.pointer,
      count: Self.shards)
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

  /// Rows of one shard stand together, as in a step.
  private func fillRows(_ userCount: Int, _ itemCount: Int) {
    let random = Philox(seed: 1, purpose: .verification)
    var drawn = (0..<batch).map { row in
      let (user, item) = (random.uniform(row: row), random.uniform(row: row, draw: 1))
      return (Int(user * user * Double(userCount)), Int(item * item * Double(itemCount)))
    }
    // Users of a shard are a run of the table, and rows inside a shard are in random order.
    drawn.sort { $0.0 * Self.shards / userCount < $1.0 * Self.shards / userCount }
    for (row, pair) in drawn.enumerated() {
      unsafe userIndex.pointer[row] = UInt32(pair.0)
      unsafe itemIndex.pointer[row] = UInt32(pair.1)
      unsafe labels.pointer[row] = row.isMultiple(of: 6) ? 0 : 1
      unsafe scores.pointer[row] = Float(row % 17) * 0.25 - 2
      unsafe scoreGradients.pointer[row] = Float(row % 13) * 1e-4 - 6e-4
    }
    for shard in 0..<Self.shards {
      unsafe shardNumbers.pointer[shard] = UInt32(shard)
      unsafe blocks.pointer[shard] = 0
    }
    for pair in drawn { unsafe starts.pointer[pair.0 * Self.shards / userCount + 1] += 1 }
    for shard in 0..<Self.shards { unsafe starts.pointer[shard + 1] += starts.pointer[shard] }
  }
}
