/// Sums of vectors along the shard tree, one row of a table at a time.
///
/// Leaves arrive in ascending shard order; absent shards are skipped. The sum so far is in the
/// caller's registers. When the next leaf meets it at the tree node of level `⌊log₂(s xor t)⌋`, it
/// takes up what waits at lower levels and then waits at that one, which is exactly the order of
/// `ShardTree`. See docs/decisions/0002-shards-and-tree-sums.md.
///
/// What waits lies in memory that stays in the first-level cache: at most log₂ S rows.
@safe
struct TreeStack {
  /// `(levels, stride)`.
  private let slots: UnsafeMutablePointer<Float>
  private let stride: Int
  /// Bit `l` is set when a sum waits at level `l`.
  private var waiting: UInt32 = 0

  /// For the columns from `column` on.
  @inline(__always)
  init(scratch: TreeScratch, column: Int) {
    unsafe slots = unsafe scratch.slots.pointer + column
    stride = scratch.stride
  }

  /// Puts the sum so far aside: the next leaf, of shard `next`, meets it, whose last leaf was of
  /// shard `last`.
  @inline(__always)
  mutating func put<Lanes: LaneBlock>(_ sum: inout Lanes, last: UInt32, next: UInt32) {
    let level = 31 &- (last ^ next).leadingZeroBitCount
    collect(into: &sum, levels: waiting & ((1 &<< UInt32(level)) &- 1))
    unsafe sum.store(to: slots + level &* stride)
    waiting |= 1 &<< UInt32(level)
  }

  /// Adds everything that waits.
  @inline(__always)
  mutating func finish<Lanes: LaneBlock>(_ sum: inout Lanes) {
    collect(into: &sum, levels: waiting)
  }

  @inline(__always)
  private mutating func collect<Lanes: LaneBlock>(into sum: inout Lanes, levels: UInt32) {
    waiting &= ~levels
    var rest = levels
    while rest != 0 {
      unsafe sum.add(slots + rest.trailingZeroBitCount &* stride)
      rest &= rest &- 1
    }
  }
}

/// Memory for one ``TreeStack``.
@safe
package final class TreeScratch {
  fileprivate let slots: AlignedBuffer<Float>
  package let stride: Int

  /// For rows of `stride` floats and `shardCount` shards.
  package init(stride: Int, shardCount: Int) {
    slots = AlignedBuffer(count: max(1, Int.bitWidth - shardCount.leadingZeroBitCount) * stride)
    self.stride = stride
  }
}

/// How positions of a batch belong to shards, and how far their sums may be added here.
///
/// `S'` shards of this rank, in order; positions of shard `s` are `starts[s] ..< starts[s + 1]`.
@safe
package struct ShardRuns {
  /// `(S' + 1)`.
  package let starts: UnsafePointer<UInt32>
  /// `(S')`: the number of each shard in the whole job.
  package let shards: UnsafePointer<UInt32>
  /// `(S')`: the first shard of the block a shard lies in; sums never cross blocks.
  package let blocks: UnsafePointer<UInt32>
  /// `(B)`: the shard of each position, as an index into the other arrays.
  package let shardOfRow: UnsafePointer<UInt16>
  package let count: Int

  package init(
    starts: UnsafePointer<UInt32>, shards: UnsafePointer<UInt32>, blocks: UnsafePointer<UInt32>,
    shardOfRow: UnsafePointer<UInt16>, count: Int
  ) {
    unsafe self.starts = unsafe starts
    unsafe self.shards = unsafe shards
    unsafe self.blocks = unsafe blocks
    unsafe self.shardOfRow = unsafe shardOfRow
    self.count = count
  }
}

/// Partial sums of gradient rows, one per table row and block of shards, in ascending order.
@safe
package final class PartialRows {
  /// `(capacity)`: the table row of each partial.
  package let keys: AlignedBuffer<UInt32>
  /// `(capacity)`: the first shard of the block each partial covers.
  package let blocks: AlignedBuffer<UInt32>
  /// `(capacity, stride)`.
  package let rows: AlignedBuffer<Float>
  package let stride: Int
  package var count = 0

  package init(capacity: Int, stride: Int) {
    keys = AlignedBuffer(count: capacity)
    blocks = AlignedBuffer(count: capacity)
    rows = AlignedBuffer(count: capacity * stride)
    self.stride = stride
  }

  /// In memory of the caller's: of one length, but for `rows`, which has `stride` floats for each.
  package init(
    keys: AlignedBuffer<UInt32>, blocks: AlignedBuffer<UInt32>, rows: AlignedBuffer<Float>,
    stride: Int
  ) {
    self.keys = keys
    self.blocks = blocks
    self.rows = rows
    self.stride = stride
  }
}

package enum PartialSums {
  /// Adds partial rows of the same table row along the tree.
  ///
  /// - Parameters:
  ///   - segments: Groups the rows by table row; within a group blocks ascend.
  ///   - rows: `(segments.count)`: where each row of `stride` floats is.
  ///   - blocks: `(segments.count)`: the block each row covers.
  ///   - ordered: False adds in the order of arrival instead.
  ///   - scratch: The stack.
  ///   - sums: `(segments.segmentCount, stride)`, overwritten.
  /// - Complexity: O(count · stride); no allocation.
  package static func merge(
    segments: SegmentSort, rows: UnsafePointer<UnsafePointer<Float>>,
    blocks: UnsafePointer<UInt32>, ordered: Bool, scratch: TreeScratch,
    sums: UnsafeMutablePointer<Float>
  ) {
    unsafe Merge(
      segments: segments, rows: rows, blocks: blocks, isOrdered: ordered, scratch: scratch,
      sums: sums
    ).run(blocks: scratch.stride / RowLayout.lanes)
  }

  @safe
  private struct Merge: ColumnKernel {
    let segments: SegmentSort
    let rows: UnsafePointer<UnsafePointer<Float>>
    let blocks: UnsafePointer<UInt32>
    let isOrdered: Bool
    let scratch: TreeScratch
    let sums: UnsafeMutablePointer<Float>

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let stride = scratch.stride
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      var stack = TreeStack(scratch: scratch, column: column)
      for segment in 0..<segments.segmentCount {
        let (start, end) = unsafe (Int(starts[segment]), Int(starts[segment &+ 1]))
        var last = unsafe order[start]
        var sum = unsafe Lanes(rows[Int(last)] + column)
        for index in start &+ 1..<max(start &+ 1, end) {
          let position = unsafe order[index]
          let row = unsafe rows[Int(position)] + column
          if isOrdered {
            unsafe stack.put(&sum, last: blocks[Int(last)], next: blocks[Int(position)])
            sum = unsafe Lanes(row)
          } else {
            unsafe sum.add(row)
          }
          last = position
        }
        stack.finish(&sum)
        unsafe sum.store(to: sums + segment &* stride + column)
      }
    }
  }
}

extension PartialSums {
  /// Adds `row` to `target`, both `(count)` floats, a multiple of 8.
  package static func add(
    _ row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, count: Int
  ) {
    for column in Swift.stride(from: 0, to: count, by: RowLayout.lanes) {
      unsafe store8(load8(target + column) + load8(row + column), target + column)
    }
  }
}
