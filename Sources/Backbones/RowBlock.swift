import Sharding

/// Some rows of one shard: few enough that what one pass over them writes is still in the cache when
/// the next one reads it.
///
/// Dense products run block by block, so that their shapes depend on the dataset and the batch only.
package struct RowBlock {
  /// Numbers of rows, or places in a list of them.
  package let range: Range<Int>
  /// The shard, of this rank's from 0.
  package let shard: Int

  /// The most rows of a block. With 64 floats a row, seven matrices of a block are half of a
  /// second-level cache.
  package static let size = 256

  /// All rows of the shards.
  ///
  /// - Parameter shards: The rows of each, one after the other.
  /// - Returns: The blocks, in the order of the rows.
  package static func cut(_ shards: [Range<Int>]) -> [RowBlock] {
    shards.enumerated().flatMap { shard, rows in
      stride(from: rows.lowerBound, to: rows.upperBound, by: size).map {
        RowBlock(range: $0..<min($0 + size, rows.upperBound), shard: shard)
      }
    }
  }

  /// Calls `body` for blocks of some rows, with their places among `keys`.
  ///
  /// - Parameters:
  ///   - keys: Ascending numbers of rows.
  ///   - count: Of them.
  ///   - shards: The rows of each shard, one after the other; every key is in one.
  ///   - firstRow: The number of the row that `shards` count from.
  ///   - body: Takes a block whose range counts in `keys`.
  /// - Complexity: O(count + shards); no allocation.
  package static func forEach(
    of keys: UnsafePointer<UInt32>, count: Int, shards: [Range<Int>], firstRow: Int,
    _ body: (RowBlock) -> Void
  ) {
    var start = 0
    for (shard, rows) in shards.enumerated() {
      var end = start
      while end < count, unsafe Int(keys[end]) - firstRow < rows.upperBound { end += 1 }
      while start < end {
        let next = min(start + size, end)
        body(RowBlock(range: start..<next, shard: shard))
        start = next
      }
    }
    precondition(start == count, "every row belongs to a shard")
  }
}
