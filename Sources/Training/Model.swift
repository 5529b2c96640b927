package import Backbones
package import Fabric
package import Interactions
import Kernels
package import Sharding

/// The parameters of a run on one rank: its users' rows, its item rows, and the dense ones.
@safe
package final class Model {
  package let backbone: any Backbone
  /// Rows of this rank's users; row 0 is user `firstUser`.
  package let users: RowTable
  /// All item rows, or those this rank owns.
  package let items: RowTable
  /// One row of all dense parameters.
  package let dense: RowTable
  package let firstUser: Int
  package let userCount: Int
  package let itemCount: Int
  package let itemOwnership: RowOwnership
  /// The one copy of the item rows that the ranks of a machine share, if they do.
  let sharedItems: SharedRows?
  private let denseKeys = AlignedBuffer<UInt32>(count: 1)

  /// The initial model.
  ///
  /// - Parameters:
  ///   - configuration: Decides placement and optimizer.
  ///   - backbone: The family of models; one object per rank.
  ///   - userStarts: Shard `s` owns users `userStarts[s] ..< userStarts[s + 1]`.
  ///   - itemStarts: Likewise for item rows.
  ///   - tree: The shards and their owners.
  ///   - rank: This rank.
  ///   - sharedItems: Memory for the item rows that ranks share; it is left unsettled.
  package init(
    _ configuration: TrainingConfiguration, backbone: any Backbone, userStarts: [Int],
    itemStarts: [Int], tree: ShardTree, rank: Int, sharedItems: SharedRows? = nil
  ) {
    self.backbone = backbone
    let optimizer = configuration.optimizer
    let userOwnership = RowOwnership(shardStarts: userStarts, tree: tree)
    let userRows = userOwnership.rows(of: rank)
    firstUser = userRows.lowerBound
    userCount = userOwnership.rowCount
    itemOwnership = RowOwnership(shardStarts: itemStarts, tree: tree)
    itemCount = itemOwnership.rowCount
    users = RowTable(
      layout: backbone.userLayout, held: 0..<userRows.count, owned: 0..<userRows.count,
      optimizer: optimizer.row)
    let owned = itemOwnership.rows(of: rank)
    items = RowTable(
      layout: backbone.itemLayout,
      held: configuration.tables == .replicated || sharedItems != nil ? 0..<itemCount : owned,
      owned: owned, optimizer: optimizer.row, shared: sharedItems)
    self.sharedItems = sharedItems
    dense = RowTable(
      layout: RowLayout(factors: backbone.denseCount, hasBias: false), held: 0..<1, owned: 0..<1,
      optimizer: optimizer.dense, isLazy: false)
    backbone.initializeUsers(users, firstRow: firstUser, seed: configuration.seed)
    backbone.initializeItems(items, firstRow: 0, seed: configuration.seed)
    unsafe backbone.initializeDense(dense.row(0), seed: configuration.seed)
  }

  /// The initial model for a dataset; a collective.
  ///
  /// Ranks of one machine share the item rows: whatever the configured placement when there is no
  /// other machine, else when tables are replicated.
  ///
  /// - Parameters:
  ///   - configuration: Decides backbone, placement and optimizer.
  ///   - dataset: Decides the tables' sizes and owners.
  ///   - context: The ranks.
  ///   - backbone: In place of the configuration's.
  /// - Throws: `SharedMemoryError`; what the group throws.
  package convenience init(
    _ configuration: TrainingConfiguration, dataset: Dataset, context: JobContext,
    backbone: (any Backbone)? = nil
  ) throws {
    let backbone = backbone ?? configuration.makeBackbone()
    let (group, tree) = (context.group, context.tree)
    let isSharing =
      group.size > 1 && (group.machines.machineCount == 1 || !context.isSharded)
    let shared =
      try isSharing
      ? SharedRows(
        ownership: RowOwnership(shardStarts: dataset.itemStarts, tree: tree),
        stride: backbone.itemLayout.stride, group: group) : nil
    self.init(
      configuration, backbone: backbone, userStarts: dataset.userStarts,
      itemStarts: dataset.itemStarts, tree: tree, rank: group.rank, sharedItems: shared)
    try shared?.publish()
  }

  /// The row number of the dense parameters, for calls that take row numbers.
  var denseKey: UnsafePointer<UInt32> { unsafe UnsafePointer(denseKeys.pointer) }
}

extension TrainingConfiguration {
  /// A new backbone of the configured family.
  func makeBackbone() -> any Backbone {
    switch backbone {
    case .gmf: GeneralizedMatrixFactorization(factors: factors, hasBiases: biases)
    }
  }
}
