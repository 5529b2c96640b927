/// The transpose of ``SparseRows``, cut along the shards of its rows.
///
/// Entries of a column are sorted by (shard, row). Those of one shard are a *leaf*; the leaves of a
/// column within a block of shards are one *partial* sum, in the order of ``PartialRows``. All of
/// this is known once, so a product only adds.
@safe
package final class SparseColumns {
  /// `(partials)`: the column of each partial sum, ascending.
  package let keys: AlignedBuffer<UInt32>
  /// `(partials)`: the first shard of the block that each covers.
  package let blocks: AlignedBuffer<UInt32>
  /// `(partials + 1)`: leaves of each partial sum.
  let leafStarts: AlignedBuffer<Int>
  /// `(leaves + 1)`: entries of each leaf.
  let entryStarts: AlignedBuffer<Int>
  /// `(leaves)`: the shard of each, numbered in the whole job.
  let shards: AlignedBuffer<UInt32>
  /// `(E + prefetchDistance)`: the row of each entry; the rest is zero.
  let rows: AlignedBuffer<UInt32>
  /// `(E)`: the value of each entry; nil when all are 1.
  let values: AlignedBuffer<Float>?

  package var partialCount: Int { keys.count }

  /// Transposes a matrix whose rows belong to shards.
  ///
  /// - Parameters:
  ///   - matrix: The rows of this rank.
  ///   - runs: The rows of each shard, `starts`, and its number and block; `shardOfRow` is not read.
  ///   - ordered: False makes one leaf of each column, in row order, regardless of shards.
  /// - Complexity: O(R + C + E), a counting sort; 4 bytes for each entry (8 with values) and up to
  ///   12 for each leaf.
  package init(_ matrix: SparseRows, runs: ShardRuns, ordered: Bool = true) {
    let count = matrix.entryCount
    let columnStarts = Self.columnStarts(matrix)
    let places = Self.places(of: matrix)
    let (rows, entryShards) = (
      AlignedBuffer<UInt32>(count: count + prefetchDistance), AlignedBuffer<UInt16>(count: count)
    )
    let values = matrix.values.map { _ in AlignedBuffer<Float>(count: count) }
    for shard in 0..<runs.count {
      let range = unsafe Int(runs.starts[shard])..<Int(runs.starts[shard + 1])
      for row in range {
        for entry in unsafe matrix.starts.pointer[row]..<matrix.starts.pointer[row + 1] {
          let place = unsafe Int(places.pointer[entry])
          unsafe rows.pointer[place] = UInt32(truncatingIfNeeded: row)
          unsafe entryShards.pointer[place] = ordered ? UInt16(truncatingIfNeeded: shard) : 0
          if let values, let source = matrix.values {
            unsafe values.pointer[place] = source.pointer[entry]
          }
        }
      }
    }
    self.rows = rows
    self.values = values
    let cuts = unsafe Cuts(
      columnStarts: columnStarts, shards: entryShards.pointer, runs: runs)
    (keys, blocks, leafStarts) = (cuts.keys, cuts.blocks, cuts.leafStarts)
    (entryStarts, shards) = (cuts.entryStarts, cuts.leafShards)
  }

  /// The same entries with values of their own, without a copy of where they are.
  ///
  /// - Parameters:
  ///   - pattern: The entries.
  ///   - values: `(E)`, at the places that ``places(of:)`` tells.
  package init(_ pattern: SparseColumns, values: AlignedBuffer<Float>) {
    precondition(
      values.count == pattern.rows.count - prefetchDistance, "there is a value for each entry")
    (keys, blocks, leafStarts) = (pattern.keys, pattern.blocks, pattern.leafStarts)
    (entryStarts, shards, rows) = (pattern.entryStarts, pattern.shards, pattern.rows)
    self.values = values
  }

  /// `(E)`: where the transpose of a matrix has each of its entries.
  ///
  /// - Complexity: O(C + E); 4 bytes for each entry.
  package static func places(of matrix: SparseRows) -> AlignedBuffer<UInt32> {
    let next = columnStarts(matrix)
    let places = AlignedBuffer<UInt32>(count: matrix.entryCount)
    for entry in 0..<matrix.entryCount {
      let column = unsafe Int(matrix.columns.pointer[entry])
      unsafe places.pointer[entry] = UInt32(next.pointer[column])
      unsafe next.pointer[column] += 1
    }
    return places
  }

  /// Partial sums whose keys and blocks are those of this matrix, without a copy; a product writes
  /// their rows.
  package func makePartials(stride: Int) -> PartialRows {
    let partials = PartialRows(
      keys: keys, blocks: blocks, rows: AlignedBuffer(count: partialCount * stride), stride: stride)
    partials.count = partialCount
    return partials
  }

  private static func columnStarts(_ matrix: SparseRows) -> AlignedBuffer<Int> {
    let starts = AlignedBuffer<Int>(count: matrix.columnCount + 1)
    for entry in 0..<matrix.entryCount {
      unsafe starts.pointer[Int(matrix.columns.pointer[entry]) + 1] += 1
    }
    for column in 0..<matrix.columnCount {
      unsafe starts.pointer[column + 1] += starts.pointer[column]
    }
    return starts
  }
}

/// Where sorted entries change their shard, block and column.
private struct Cuts {
  let keys: AlignedBuffer<UInt32>
  let blocks: AlignedBuffer<UInt32>
  let leafStarts: AlignedBuffer<Int>
  let entryStarts: AlignedBuffer<Int>
  let leafShards: AlignedBuffer<UInt32>

  init(columnStarts: AlignedBuffer<Int>, shards: UnsafePointer<UInt16>, runs: ShardRuns) {
    var (partials, leaves) = (0, 0)
    unsafe Self.walk(columnStarts, shards, runs) { _, _, _, startsPartial in
      leaves += 1
      partials += startsPartial ? 1 : 0
    }
    let (keys, blocks) = (
      AlignedBuffer<UInt32>(count: partials), AlignedBuffer<UInt32>(count: partials)
    )
    let (leafStarts, entryStarts) = (
      AlignedBuffer<Int>(count: partials + 1), AlignedBuffer<Int>(count: leaves + 1)
    )
    let leafShards = AlignedBuffer<UInt32>(count: leaves)
    (partials, leaves) = (0, 0)
    unsafe Self.walk(columnStarts, shards, runs) { column, entry, shard, startsPartial in
      if startsPartial {
        unsafe keys.pointer[partials] = UInt32(truncatingIfNeeded: column)
        unsafe blocks.pointer[partials] = runs.blocks[shard]
        unsafe leafStarts.pointer[partials] = leaves
        partials += 1
      }
      unsafe entryStarts.pointer[leaves] = entry
      unsafe leafShards.pointer[leaves] = runs.shards[shard]
      leaves += 1
    }
    unsafe leafStarts.pointer[partials] = leaves
    unsafe entryStarts.pointer[leaves] = columnStarts.elements.last ?? 0
    (self.keys, self.blocks, self.leafStarts) = (keys, blocks, leafStarts)
    (self.entryStarts, self.leafShards) = (entryStarts, leafShards)
  }

  /// Calls `body(column, first entry, shard, whether a partial sum starts)` for every leaf.
  private static func walk(
    _ columnStarts: AlignedBuffer<Int>, _ shards: UnsafePointer<UInt16>, _ runs: ShardRuns,
    _ body: (Int, Int, Int, Bool) -> Void
  ) {
    for column in 0..<columnStarts.count - 1 {
      let range = unsafe columnStarts.pointer[column]..<columnStarts.pointer[column + 1]
      var last = -1
      for entry in range {
        let shard = unsafe Int(shards[entry])
        guard shard != last else { continue }
        let startsPartial = unsafe last < 0 || runs.blocks[shard] != runs.blocks[last]
        body(column, entry, shard, startsPartial)
        last = shard
      }
    }
  }
}
