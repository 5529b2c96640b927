import Fabric
import Interactions
import Kernels
import Sharding

extension InteractionGraph {
  /// The graph of a dataset's positive training pairs, each pair one edge. A collective.
  ///
  /// - Parameters:
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  /// - Throws: `Failure` when a shard cannot be mapped; what the group throws.
  convenience init(_ dataset: Dataset, context: JobContext) throws {
    let run = context.tree.shards(of: context.group.rank)
    let firstUser = dataset.userStarts[run.lowerBound]
    var (starts, items): ([Int], [UInt32]) = ([0], [])
    for index in run {
      let shard = try dataset.shard(index)
      var pairs = shard.positivePairs(firstUser: firstUser)
      pairs.sort()
      var previous: UInt64?
      for pair in pairs where pair != previous {
        previous = pair
        while starts.count <= Int(pair >> 32) { starts.append(items.count) }
        items.append(UInt32(truncatingIfNeeded: pair))
      }
    }
    let users = dataset.userStarts[run.upperBound] - firstUser
    while starts.count <= users { starts.append(items.count) }
    try self.init(
      userStarts: starts, items: items,
      shardStarts: run.map { dataset.userStarts[$0] - firstUser } + [users],
      itemStarts: dataset.itemStarts, tree: context.tree, isOrdered: context.isOrdered,
      group: context.group)
  }
}

extension Shard {
  /// The positive labeled training rows: the user, counted from `firstUser`, in the upper half.
  fileprivate func positivePairs(firstUser: Int) -> [UInt64] {
    let (users, items, labels) = unsafe (train.users, train.items, train.labels)
    return (0..<train.count).compactMap { row in
      guard unsafe labels[row] == 1 else { return nil }
      return unsafe UInt64(users[row] - UInt32(firstUser)) << 32 | UInt64(items[row])
    }
  }
}
