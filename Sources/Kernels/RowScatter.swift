/// The reverse of ``RowGather``: gradients of batch rows added for each row of a table.
///
/// `B` positions of a batch, each with a gradient of the table row it refers to. Sums follow the
/// order that `WeightedProduct` documents: row order within a shard, then the shard tree.
package enum RowScatter {
  /// Writes the gradient of every user row of the batch: `target[s] = Σ gradients[b]` over the
  /// positions of segment `s`, in order.
  ///
  /// - Parameters:
  ///   - gradients: `(B, columns)`.
  ///   - columns: Padded to whole blocks.
  ///   - segments: The batch grouped by user.
  ///   - target: `(segments.segmentCount, columns)`, overwritten; other columns of its rows stay.
  /// - Complexity: O(B · columns); no allocation, no communication.
  package static func addUsers(
    _ gradients: Matrix, columns: Int, segments: SegmentSort, into target: MutableMatrix
  ) {
    UserSums(gradients: gradients, segments: segments, target: target)
      .run(blocks: RowLayout.wholeBlocks(columns) / RowLayout.lanes)
  }

  /// Writes the partial sums of the gradients of every item row of the batch, one per item and block
  /// of shards, in ascending order.
  ///
  /// - Parameters:
  ///   - gradients: `(B, columns)`.
  ///   - columns: Padded to whole blocks.
  ///   - segments: The positions grouped by item.
  ///   - runs: How the positions belong to shards.
  ///   - ordered: False adds whole segments in row order, regardless of shards.
  ///   - scratch: The stack, for rows of at least `columns` floats.
  ///   - partials: Overwritten from `column` on; room for one row per position.
  ///   - column: The first column of the partial rows that is written.
  /// - Complexity: O(B · columns); no allocation, no communication.
  package static func addItems(
    _ gradients: Matrix, columns: Int, segments: SegmentSort, runs: ShardRuns, ordered: Bool,
    scratch: TreeScratch, partials: PartialRows, column: Int = 0
  ) {
    let width = RowLayout.wholeBlocks(columns)
    precondition(columns > 0, "a gradient has columns")
    precondition(width <= scratch.stride, "the stack has room for all columns")
    precondition(column + width <= partials.stride, "partial rows have room for all columns")
    let sums = ItemSums(
      gradients: gradients, segments: segments, runs: runs, isOrdered: ordered, scratch: scratch,
      partials: partials, firstColumn: column)
    sums.run(blocks: width / RowLayout.lanes)
  }

  @safe
  private struct UserSums: ColumnKernel {
    let gradients: Matrix
    let segments: SegmentSort
    let target: MutableMatrix

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      let last = max(segments.count &- 1, 0)
      for segment in 0..<segments.segmentCount {
        let (start, end) = unsafe (Int(starts[segment]), Int(starts[segment &+ 1]))
        var sum = unsafe Lanes(gradients.row(Int(order[start])) + column)
        for index in start &+ 1..<max(start &+ 1, end) {
          let next = unsafe Int(order[min(index &+ prefetchDistance, last)])
          unsafe prefetch(gradients.row(next) + column, width: Lanes.width)
          unsafe sum.add(gradients.row(Int(order[index])) + column)
        }
        unsafe sum.store(to: target.row(segment) + column)
      }
    }
  }

  @safe
  private struct ItemSums: ColumnKernel {
    let gradients: Matrix
    let segments: SegmentSort
    let runs: ShardRuns
    let isOrdered: Bool
    let scratch: TreeScratch
    let partials: PartialRows
    let firstColumn: Int

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      let target = unsafe partials.rows.pointer + firstColumn + column
      let last = max(segments.count &- 1, 0)
      var stack = TreeStack(scratch: scratch, column: column)
      var written = 0
      for segment in 0..<segments.segmentCount {
        let (start, end) = unsafe (Int(starts[segment]), Int(starts[segment &+ 1]))
        var shard = unsafe isOrdered ? runs.shardOfRow[Int(order[start])] : 0
        var sum = unsafe Lanes(gradients.row(Int(order[start])) + column)
        for index in start &+ 1..<max(start &+ 1, end) {
          let next = unsafe Int(order[min(index &+ prefetchDistance, last)])
          unsafe prefetch(gradients.row(next) + column, width: Lanes.width)
          let position = unsafe Int(order[index])
          let leaf = unsafe isOrdered ? runs.shardOfRow[position] : 0
          guard leaf != shard else {
            unsafe sum.add(gradients.row(position) + column)
            continue
          }
          if unsafe runs.blocks[Int(leaf)] == runs.blocks[Int(shard)] {
            unsafe stack.put(&sum, last: runs.shards[Int(shard)], next: runs.shards[Int(leaf)])
          } else {
            stack.finish(&sum)
            unsafe sum.store(to: target + written &* partials.stride)
            note(written, segment, shard)
            written &+= 1
          }
          sum = unsafe Lanes(gradients.row(position) + column)
          shard = leaf
        }
        stack.finish(&sum)
        unsafe sum.store(to: target + written &* partials.stride)
        note(written, segment, shard)
        written &+= 1
      }
      partials.count = written
    }

    @inline(__always)
    private func note(_ partial: Int, _ segment: Int, _ shard: UInt16) {
      unsafe partials.keys.pointer[partial] = unsafe segments.segmentKeys.pointer[segment]
      unsafe partials.blocks.pointer[partial] = unsafe runs.blocks[Int(shard)]
    }
  }
}
