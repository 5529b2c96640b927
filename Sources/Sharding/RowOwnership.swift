package import Fabric

/// Which rank owns which rows of a table.
///
/// Rows are numbered so that the rows of shard `s` are `starts[s] ..< starts[s + 1]`; a rank owns
/// those of its shards, one contiguous range.
package struct RowOwnership: Equatable, Sendable {
  /// First row of each rank, and the number of rows.
  package let rankStarts: [Int]

  /// - Parameters:
  ///   - shardStarts: `S + 1` ascending rows.
  ///   - tree: Which rank owns which shards.
  package init(shardStarts: [Int], tree: ShardTree) {
    precondition(shardStarts.count == tree.shardCount + 1, "one start per shard, and the end")
    rankStarts =
      (0..<tree.rankCount).map { shardStarts[tree.shards(of: $0).lowerBound] }
      + [shardStarts[tree.shardCount]]
  }

  /// All rows of the table.
  package var rowCount: Int { rankStarts[rankStarts.count - 1] }

  /// The rows that `rank` owns.
  package func rows(of rank: Int) -> Range<Int> { rankStarts[rank]..<rankStarts[rank + 1] }

  /// Sets `parts` to the number of `keys` that each rank owns.
  ///
  /// - Parameters:
  ///   - keys: Ascending rows of the table.
  ///   - count: Keys.
  ///   - parts: One part per rank, overwritten.
  /// - Complexity: O(P log count).
  package func partition(
    _ keys: UnsafePointer<UInt32>, count: Int, into parts: inout Partition
  ) {
    var start = 0
    parts.set { rank in
      // The first key that belongs to a later rank.
      var (low, high) = (start, count)
      let limit = rankStarts[rank + 1]
      while low < high {
        let middle = (low + high) / 2
        if unsafe Int(keys[middle]) < limit { low = middle + 1 } else { high = middle }
      }
      defer { start = low }
      return low - start
    }
  }
}
