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
  /// What computes the rows that scores read, for a backbone that propagates.
  let propagation: (any Propagation)?
  /// Grows whenever parameters change.
  private var version = 0
  private var propagated: (version: Int, dropout: DropoutKey?)?
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
  ///   - propagation: Of a backbone that propagates.
  ///   - placement: Where the weights and moments of a row lie, which decides no bits.
  package init(
    _ configuration: TrainingConfiguration, backbone: any Backbone, userStarts: [Int],
    itemStarts: [Int], tree: ShardTree, rank: Int, sharedItems: SharedRows? = nil,
    propagation: (any Propagation)? = nil, placement: RowPlacement = .bySize
  ) {
    self.backbone = backbone
    self.propagation = propagation
    let optimizer = configuration.optimizer
    // A propagation walks over whole tables of weights.
    let placement = propagation == nil ? placement : .apart
    let userOwnership = RowOwnership(shardStarts: userStarts, tree: tree)
    let userRows = userOwnership.rows(of: rank)
    firstUser = userRows.lowerBound
    userCount = userOwnership.rowCount
    itemOwnership = RowOwnership(shardStarts: itemStarts, tree: tree)
    itemCount = itemOwnership.rowCount
    users = RowTable(
      layout: backbone.userLayout, held: 0..<userRows.count, owned: 0..<userRows.count,
      optimizer: optimizer.row, isLazy: backbone.userLayout.stride > 0,
      isSideBySide: placement.isSideBySide(
        backbone.userLayout, rows: userRows.count, optimizer.row))
    let owned = itemOwnership.rows(of: rank)
    let held = Self.holdsAll(configuration, sharedItems, propagation) ? 0..<itemCount : owned
    items = RowTable(
      layout: backbone.itemLayout, held: held, owned: owned, optimizer: optimizer.row,
      shared: sharedItems,
      isSideBySide: sharedItems == nil && held == owned
        && placement.isSideBySide(backbone.itemLayout, rows: owned.count, optimizer.row))
    self.sharedItems = sharedItems
    dense = RowTable(
      layout: RowLayout(factors: backbone.denseCount, hasBias: false), held: 0..<1, owned: 0..<1,
      optimizer: optimizer.dense, isLazy: false)
    backbone.initializeUsers(users, firstRow: firstUser, seed: configuration.seed)
    backbone.initializeItems(items, firstRow: 0, seed: configuration.seed)
    unsafe backbone.initializeDense(dense.row(0), seed: configuration.seed)
  }

  /// Whether a rank holds all item rows. Of rows that are propagated nobody reads another's.
  private static func holdsAll(
    _ configuration: TrainingConfiguration, _ sharedItems: SharedRows?,
    _ propagation: (any Propagation)?
  ) -> Bool {
    propagation == nil && (configuration.tables == .replicated || sharedItems != nil)
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
  ///   - placement: Where the weights and moments of a row lie, which decides no bits.
  /// - Throws: `SharedMemoryError`; `Failure` of kind data for a model of sequences on a dataset
  ///   without an order in time; what the group throws.
  package convenience init(
    _ configuration: TrainingConfiguration, dataset: Dataset, context: JobContext,
    backbone: (any Backbone)? = nil, placement: RowPlacement = .bySize
  ) throws {
    let backbone =
      backbone
      ?? configuration.makeBackbone(userCount: dataset.users, itemCount: dataset.items)
    if backbone is any SequenceBackbone { try dataset.requireSequences() }
    let (group, tree) = (context.group, context.tree)
    let propagation = try (backbone as? any PropagatingBackbone)?.makePropagation(
      over: InteractionGraph(dataset, context: context))
    let isSharing =
      group.size > 1 && propagation == nil
      && (group.machines.machineCount == 1 || !context.isSharded)
    let shared =
      try isSharing
      ? SharedRows(
        ownership: RowOwnership(shardStarts: dataset.itemStarts, tree: tree),
        stride: backbone.itemLayout.stride, group: group) : nil
    self.init(
      configuration, backbone: backbone, userStarts: dataset.userStarts,
      itemStarts: dataset.itemStarts, tree: tree, rank: group.rank, sharedItems: shared,
      propagation: propagation, placement: placement)
    try shared?.publish()
  }

  /// Whether users have parameters.
  var hasUserRows: Bool { users.stride > 0 }

  // MARK: The rows that scores read

  /// The user rows that scores read.
  var scoredUsers: RowTable { propagation?.users ?? users }
  /// The item rows that scores read.
  var scoredItems: RowTable { propagation?.items ?? items }

  /// Says that parameters have changed.
  func noteChange() { version += 1 }

  /// Brings the rows that scores read up to date. A collective for backbones that propagate.
  ///
  /// - Parameter dropout: What masks are drawn by; `nil` for scoring.
  /// - Throws: What the group throws.
  func propagate(dropout: DropoutKey?) throws {
    guard let propagation else { return }
    if let propagated, propagated == (version, dropout) { return }
    try propagation.forward(tables, dropout: dropout)
    propagated = (version, dropout)
  }

  /// The parameters as a propagation reads them.
  var tables: PropagatedTables {
    unsafe PropagatedTables(users: users, items: items, dense: dense.weights.pointer)
  }

  /// The row number of the dense parameters, for calls that take row numbers.
  var denseKey: UnsafePointer<UInt32> { unsafe UnsafePointer(denseKeys.pointer) }
}
