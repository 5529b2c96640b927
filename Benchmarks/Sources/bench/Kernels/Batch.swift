import Kernels
import Randomness

/// The rows of one step as the kernels see them: sorted by shard, grouped by user and by item.
///
/// It owns its buffers, whose pointers kernels get while it lives, so its use is safe.
@safe
final class Batch {
  static let shards = 16

  let count: Int
  let userIndex: AlignedBuffer<UInt32>
  let itemIndex: AlignedBuffer<UInt32>
  let userSegments: SegmentSort
  let itemSegments: SegmentSort
  private let starts = AlignedBuffer<UInt32>(count: shards + 1)
  private let shardNumbers = AlignedBuffer<UInt32>(count: shards)
  private let blocks = AlignedBuffer<UInt32>(count: shards)
  private let shardOfRow: AlignedBuffer<UInt16>

  /// Batch number `number` of `count` rows over tables of `users` and `items` rows.
  ///
  /// Both are drawn with a popularity that falls towards the end of the table, since equal draws
  /// would leave too few rows per segment.
  init(number: Int, count: Int, users: Int, items: Int) {
    self.count = count
    userIndex = AlignedBuffer(count: count)
    itemIndex = AlignedBuffer(count: count)
    shardOfRow = AlignedBuffer(count: count)
    userSegments = SegmentSort(capacity: count)
    itemSegments = SegmentSort(capacity: count)
    let random = Philox(seed: 1, purpose: .verification)
    var drawn = (0..<count).map { row in
      let user = random.uniform(epoch: number, row: row)
      let item = random.uniform(epoch: number, row: row, draw: 1)
      return (Int(user * user * Double(users)), Int(item * item * Double(items)))
    }
    // Users of a shard are a run of the table; rows inside a shard are in random order.
    drawn.sort { $0.0 * Self.shards / users < $1.0 * Self.shards / users }
    for (row, pair) in drawn.enumerated() {
      unsafe userIndex.pointer[row] = UInt32(pair.0)
      unsafe itemIndex.pointer[row] = UInt32(pair.1)
      let shard = pair.0 * Self.shards / users
      unsafe starts.pointer[shard + 1] += 1
      unsafe shardOfRow.pointer[row] = UInt16(shard)
    }
    for shard in 0..<Self.shards {
      unsafe starts.pointer[shard + 1] += starts.pointer[shard]
      unsafe shardNumbers.pointer[shard] = UInt32(shard)
    }
    unsafe userSegments.sort(userIndex.pointer, count: count, bound: users)
    unsafe itemSegments.sort(itemIndex.pointer, count: count, bound: items)
  }

  /// One rank that owns all shards: a single block.
  var runs: ShardRuns {
    unsafe ShardRuns(
      starts: starts.pointer, shards: shardNumbers.pointer, blocks: blocks.pointer,
      shardOfRow: shardOfRow.pointer, count: Self.shards)
  }
}
