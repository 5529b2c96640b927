package import Fabric
package import Kernels

/// The bipartite graph of users and items as one rank holds it: the edges of its users, in the order
/// of users and in the order of items.
///
/// Users are numbered from the rank's first one, items over the whole job. See
/// docs/decisions/0014-propagation.md.
package final class InteractionGraph {
  /// `(U', I)`: the items of each user of this rank, ascending.
  package let edges: SparseRows
  /// `(I, U')`: the users of each item, by shard.
  package let transposed: SparseColumns
  /// `(U')`: edges of each user.
  package let userDegrees: [Int]
  /// `(I)`: edges of each item over all ranks.
  package let itemDegrees: [Int]
  /// The users of each shard of this rank.
  package let userRanges: [Range<Int>]
  /// The item rows that each shard of this rank owns.
  package let itemRanges: [Range<Int>]
  /// The number in the whole job of user 0.
  package let firstUser: Int
  /// The item rows that this rank owns.
  package var ownedItems: Range<Int> { ownership.rows(of: group.rank) }
  /// Who owns which item rows.
  package let ownership: RowOwnership
  package let tree: ShardTree
  /// The ranks.
  let group: any ProcessGroup
  /// Whether sums over users follow the shard tree.
  package let isOrdered: Bool

  /// The edges of one rank, by user.
  package struct Edges {
    /// `U' + 1` ascending starts in ``items``.
    package var starts: [Int] = [0]
    /// The item of each edge; of a user ascending, each once.
    package var items: [UInt32] = []

    package init() {}
  }

  /// Orders the edges by item, too, and adds up the degrees of items. A collective.
  ///
  /// - Parameters:
  ///   - edges: Of this rank's users.
  ///   - userStarts: Shard `s` owns users `userStarts[s] ..< userStarts[s + 1]`.
  ///   - itemStarts: Likewise for item rows.
  ///   - tree: The shards and their owners.
  ///   - isOrdered: Whether sums over users follow the shard tree.
  ///   - group: The ranks.
  /// - Throws: What the group throws.
  /// - Complexity: O(edges + items); one collective of `8 I` bytes.
  package init(
    _ edges: Edges, userStarts: [Int], itemStarts: [Int], tree: ShardTree, isOrdered: Bool,
    group: any ProcessGroup
  ) throws {
    let run = tree.shards(of: group.rank)
    let first = userStarts[run.lowerBound]
    firstUser = first
    userRanges = run.map { userStarts[$0] - first..<userStarts[$0 + 1] - first }
    itemRanges = run.map { itemStarts[$0]..<itemStarts[$0 + 1] }
    self.tree = tree
    self.group = group
    self.isOrdered = isOrdered
    ownership = RowOwnership(shardStarts: itemStarts, tree: tree)
    userDegrees = zip(edges.starts, edges.starts.dropFirst()).map { $1 - $0 }
    self.edges = SparseRows(edges, columnCount: ownership.rowCount)
    transposed = SparseColumns(
      self.edges, shards: userRanges, tree: tree, rank: group.rank, isOrdered: isOrdered)
    var degrees = [Int64](repeating: 0, count: ownership.rowCount)
    for item in edges.items { degrees[Int(item)] += 1 }
    unsafe try degrees.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    itemDegrees = degrees.map { Int($0) }
  }
}

extension SparseRows {
  fileprivate convenience init(_ edges: InteractionGraph.Edges, columnCount: Int) {
    let starts = AlignedBuffer<Int>(count: edges.starts.count)
    let items = AlignedBuffer<UInt32>(count: edges.items.count)
    for (user, start) in edges.starts.enumerated() { unsafe starts.pointer[user] = start }
    for (edge, item) in edges.items.enumerated() { unsafe items.pointer[edge] = item }
    unsafe self.init(
      rowCount: edges.starts.count - 1, columnCount: columnCount, starts: starts.pointer,
      columns: items.pointer)
    withExtendedLifetime((starts, items)) {}
  }
}

extension SparseColumns {
  /// The transpose of the rows of one rank.
  ///
  /// - Parameters:
  ///   - matrix: The rows.
  ///   - ranges: Those of each shard of the rank, one after the other from 0.
  ///   - tree: The shards and their owners.
  ///   - rank: The rank.
  ///   - isOrdered: Whether sums over rows follow the shard tree.
  convenience init(
    _ matrix: SparseRows, shards ranges: [Range<Int>], tree: ShardTree, rank: Int, isOrdered: Bool
  ) {
    let run = tree.shards(of: rank)
    let starts = AlignedBuffer<UInt32>(count: run.count + 1)
    let (shards, blocks) = (
      AlignedBuffer<UInt32>(count: run.count), AlignedBuffer<UInt32>(count: run.count)
    )
    let shardOfRow = AlignedBuffer<UInt16>(count: 0)
    for block in tree.blocks(of: rank) {
      for shard in block {
        unsafe shards.pointer[shard - run.lowerBound] = UInt32(shard)
        unsafe blocks.pointer[shard - run.lowerBound] = UInt32(block.lowerBound)
      }
    }
    for (local, range) in ranges.enumerated() {
      unsafe starts.pointer[local + 1] = UInt32(range.upperBound)
    }
    unsafe self.init(
      matrix,
      runs: ShardRuns(
        starts: starts.pointer, shards: shards.pointer, blocks: blocks.pointer,
        shardOfRow: shardOfRow.pointer, count: run.count), ordered: isOrdered)
    withExtendedLifetime((starts, shards, blocks, shardOfRow)) {}
  }
}
