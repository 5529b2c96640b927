import Fabric
import Kernels
import Sharding
import Training

/// Rows that tests know as well as the step does: drawn for each step and shard, some shards with
/// many, some with none.
final class DrawnRows: RowSource {
  struct Row {
    /// In the whole job.
    let user: Int
    let item: Int
    let label: Float
  }

  enum Kind: Int { case labeled, unlabeled }

  static let shardCount = 8
  static let userStarts = [0, 3, 5, 6, 9, 10, 12, 15, 16]
  /// Some shards, and for some numbers of ranks a rank, own no items.
  static let itemStarts = [0, 6, 6, 6, 15, 20, 33, 39, 40]

  static func ownership(_ tree: ShardTree) -> RowOwnership {
    RowOwnership(shardStarts: itemStarts, tree: tree)
  }

  /// The rows of one shard.
  static func rows(_ kind: Kind, step: Int, shard: Int) -> [Row] {
    var draws = Draws(seed: UInt64(1000 * step + 10 * shard + kind.rawValue))
    // Some shards of each step have none.
    let count = max(0, draws.integer(below: 14) - 3)
    return (0..<count).map { _ in
      let users = userStarts[shard]..<userStarts[shard + 1]
      return Row(
        user: users.lowerBound + draws.integer(below: users.count),
        item: draws.integer(below: itemStarts[shardCount]),
        label: kind == .labeled && draws.integer(below: 3) > 0 ? 1 : 0)
    }
  }

  static func count(_ kind: Kind, step: Int) -> Int {
    (0..<shardCount).reduce(0) { $0 + rows(kind, step: step, shard: $1).count }
  }

  private let own: Range<Int>

  /// - Parameter own: The shards of this rank.
  init(own: Range<Int>) { self.own = own }

  func capacity(_ rows: StepRows) -> Int { (rows == .joint ? 20 : 10) * own.count }
  func labeledRows(in step: Int) -> Int { Self.count(.labeled, step: step) }
  func totalUnlabeled(of batch: StepBatch, in step: Int) -> Int {
    Self.count(.unlabeled, step: step)
  }

  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    let first = Self.userStarts[own.lowerBound]
    var end = 0
    for (local, shard) in own.enumerated() {
      let labeled =
        rows == .unlabeled ? [] : Self.rows(.labeled, step: position.step, shard: shard)
      let unlabeled =
        rows == .labeled ? [] : Self.rows(.unlabeled, step: position.step, shard: shard)
      for row in labeled + unlabeled {
        unsafe batch.users.pointer[end] = UInt32(row.user - first)
        unsafe batch.items.pointer[end] = UInt32(row.item)
        unsafe batch.labels.pointer[end] = row.label
        end += 1
      }
      batch.close(shard: local, at: end, labeled: labeled.count)
    }
  }
}
