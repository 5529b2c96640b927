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
  package init(
    _ configuration: TrainingConfiguration, backbone: any Backbone, userStarts: [Int],
    itemStarts: [Int], tree: ShardTree, rank: Int
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
      held: configuration.tables == .replicated ? 0..<itemCount : owned, owned: owned,
      optimizer: optimizer.row)
    dense = RowTable(
      layout: RowLayout(factors: backbone.denseCount, hasBias: false), held: 0..<1, owned: 0..<1,
      optimizer: optimizer.dense, isLazy: false)
    backbone.initializeUsers(users, firstRow: firstUser, seed: configuration.seed)
    backbone.initializeItems(items, firstRow: 0, seed: configuration.seed)
    unsafe backbone.initializeDense(dense.row(0), seed: configuration.seed)
  }

  /// The initial model for a dataset.
  ///
  /// - Parameters:
  ///   - configuration: Decides backbone, placement and optimizer.
  ///   - dataset: Decides the tables' sizes and owners.
  ///   - tree: The shards and their owners.
  ///   - rank: This rank.
  ///   - backbone: In place of the configuration's.
  package convenience init(
    _ configuration: TrainingConfiguration, dataset: Dataset, tree: ShardTree, rank: Int,
    backbone: (any Backbone)? = nil
  ) {
    self.init(
      configuration, backbone: backbone ?? configuration.makeBackbone(),
      userStarts: dataset.userStarts, itemStarts: dataset.itemStarts, tree: tree, rank: rank)
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
