package import Fabric
import Sharding

/// What all parts of a run share: the ranks, the shards and the way sums are taken.
package struct JobContext {
  package let group: any ProcessGroup
  package let tree: ShardTree
  /// Whether item rows live with their owners only, unless all ranks share one copy.
  package let isSharded: Bool
  /// Whether sums follow the shard tree.
  package let isOrdered: Bool
  /// Where the time of this rank goes.
  package private(set) var clock: PhaseClock

  package init(group: any ProcessGroup, tree: ShardTree, configuration: TrainingConfiguration) {
    self.group = group
    self.tree = tree
    clock = PhaseClock(position: group.position)
    // Alone, a rank owns all rows, and fetching would only copy them.
    isSharded = configuration.tables == .sharded && group.size > 1
    isOrdered = configuration.reduction == .ordered
  }

  /// The same with another clock, for work that is a phase of its own.
  func timedApart() -> JobContext {
    var context = self
    context.clock = PhaseClock()
    return context
  }

  /// The exchange of item rows; buffers of different exchanges do not touch.
  func makeExchange(_ model: Model) -> any RowExchange {
    if let table = model.sharedItems {
      return SharedExchange(
        group: group, ownership: model.itemOwnership, table: table,
        stride: model.scoredItems.stride, shardCount: tree.shardCount, ordered: isOrdered)
    }
    return MessageExchange(
      group: group, ownership: model.itemOwnership, stride: model.scoredItems.stride,
      shardCount: tree.shardCount, ordered: isOrdered)
  }
}
