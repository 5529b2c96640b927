import Fabric
package import Interactions
package import Sharding

extension InteractionGraph {
  /// The graph of a dataset's positive training pairs, each pair one edge. A collective.
  ///
  /// - Parameters:
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  /// - Throws: `Failure` when a shard cannot be mapped; what the group throws.
  package convenience init(_ dataset: Dataset, context: JobContext) throws {
    let run = context.tree.shards(of: context.group.rank)
    let firstUser = dataset.userStarts[run.lowerBound]
    var edges = Edges()
    for index in run {
      let shard = try dataset.shard(index)
      var previous: UInt64?
      for pair in shard.positivePairs(firstUser: firstUser).sorted() where pair != previous {
        previous = pair
        edges.close(upTo: Int(pair >> 32))
        edges.items.append(UInt32(truncatingIfNeeded: pair))
      }
    }
    edges.close(upTo: dataset.userStarts[run.upperBound] - firstUser)
    try self.init(
      edges, userStarts: dataset.userStarts, itemStarts: dataset.itemStarts, tree: context.tree,
      isOrdered: context.isOrdered, group: context.group)
  }
}

extension InteractionGraph.Edges {
  /// Ends the edges of all users before `user`.
  fileprivate mutating func close(upTo user: Int) {
    while starts.count <= user { starts.append(items.count) }
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
