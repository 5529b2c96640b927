/// Sums of vectors along the shard tree, one row of a table at a time.
///
/// Leaves arrive in ascending shard order; absent shards are skipped. Two neighbours `s < t` on
/// the stack meet at the tree node of level `⌊log₂(s xor t)⌋`, and lower nodes are added first,
/// which is exactly the order of `ShardTree`. See docs/decisions/0002-shards-and-tree-sums.md.
///
/// The stack lies in memory that the caller's kernel keeps in the first-level cache: at most
/// 1 + log₂ S rows.
@safe
struct TreeStack {
  /// `(depth, stride)`.
  private let slots: UnsafeMutablePointer<Float>
  private let shards: UnsafeMutablePointer<UInt32>
  private let stride: Int
  private var depth = 0

  @inline(__always)
  init(scratch: TreeScratch) {
    unsafe slots = unsafe scratch.slots.pointer
    unsafe shards = unsafe scratch.shards.pointer
    stride = scratch.stride
  }

  /// Where the next leaf goes: the caller writes a row of `stride` floats there, then calls
  /// ``push(shard:)``.
  @inline(__always)
  var top: UnsafeMutablePointer<Float> { unsafe slots + depth &* stride }

  /// Makes room for the leaf of `shard`: adds what the tree adds before it. Call before ``top``.
  @inline(__always)
  mutating func settle(before shard: UInt32) {
    guard depth > 1 else { return }
    let meeting = unsafe (shards[depth &- 1] ^ shard).leadingZeroBitCount
    // A larger count of leading zeros is a lower node.
    while depth > 1,
      unsafe (shards[depth &- 2] ^ shards[depth &- 1]).leadingZeroBitCount > meeting
    {
      addTop()
    }
  }

  @inline(__always)
  mutating func push(shard: UInt32) {
    unsafe shards[depth] = shard
    depth &+= 1
  }

  /// Adds everything on the stack, writes it to `row` and empties the stack.
  @inline(__always)
  mutating func finish(into row: UnsafeMutablePointer<Float>) {
    while depth > 1 { addTop() }
    for column in Swift.stride(from: 0, to: stride, by: RowLayout.lanes) {
      unsafe store8(load8(slots + column), row + column)
    }
    depth = 0
  }

  @inline(__always)
  private mutating func addTop() {
    let upper = unsafe slots + (depth &- 1) &* stride
    let lower = unsafe upper - stride
    for column in Swift.stride(from: 0, to: stride, by: RowLayout.lanes) {
      unsafe store8(load8(lower + column) + load8(upper + column), lower + column)
    }
    // The lower entry keeps its shard: any leaf of a subtree stands for it.
    depth &-= 1
  }
}

/// Memory for one ``TreeStack``.
@safe
package final class TreeScratch {
  fileprivate let slots: AlignedBuffer<Float>
  fileprivate let shards: AlignedBuffer<UInt32>
  package let stride: Int

  /// For rows of `stride` floats and `shardCount` shards.
  package init(stride: Int, shardCount: Int) {
    let depth = 2 + Int.bitWidth - shardCount.leadingZeroBitCount
    slots = AlignedBuffer(count: depth * stride)
    shards = AlignedBuffer(count: depth)
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
  package let count: Int

  package init(
    starts: UnsafePointer<UInt32>, shards: UnsafePointer<UInt32>, blocks: UnsafePointer<UInt32>,
    count: Int
  ) {
    unsafe self.starts = unsafe starts
    unsafe self.shards = unsafe shards
    unsafe self.blocks = unsafe blocks
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
}

package enum PartialSums {
  /// Adds partial rows of the same table row along the tree.
  ///
  /// - Parameters:
  ///   - segments: Groups the rows by table row; within a group blocks ascend.
  ///   - rows: `(segments.count, stride)`.
  ///   - blocks: `(segments.count)`: the block each row covers.
  ///   - ordered: False adds in the order of arrival instead.
  ///   - scratch: The stack.
  ///   - sums: `(segments.segmentCount, stride)`, overwritten.
  /// - Complexity: O(count · stride); no allocation.
  package static func merge(
    segments: SegmentSort, rows: UnsafePointer<Float>, blocks: UnsafePointer<UInt32>,
    ordered: Bool, scratch: TreeScratch, sums: UnsafeMutablePointer<Float>
  ) {
    let stride = scratch.stride
    var stack = TreeStack(scratch: scratch)
    for segment in 0..<segments.segmentCount {
      let start = unsafe Int(segments.segmentStarts.pointer[segment])
      let end = unsafe Int(segments.segmentStarts.pointer[segment &+ 1])
      for index in start..<end {
        let position = unsafe Int(segments.order.pointer[index])
        let row = unsafe rows + position &* stride
        // Equal shards meet below every node, so an unordered sum is a chain from the left.
        let shard = unsafe ordered ? blocks[position] : 0
        stack.settle(before: shard)
        let top = unsafe stack.top
        for column in Swift.stride(from: 0, to: stride, by: RowLayout.lanes) {
          unsafe store8(load8(row + column), top + column)
        }
        stack.push(shard: shard)
        if !ordered { stack.settle(before: .max) }
      }
      unsafe stack.finish(into: sums + segment &* stride)
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
