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

  /// The pairs of one shard: its positive rows, each with unlabeled rows of the same user; as many
  /// pairs as there are unlabeled rows.
  static func pairs(
    step: Int, shard: Int
  ) -> (positives: [Row], unlabeled: [Row], partners: [Int]) {
    let unlabeled = rows(.unlabeled, step: step, shard: shard)
    let positives = rows(.labeled, step: step, shard: shard).filter { $0.label == 1 }
      .prefix(unlabeled.count)
    guard !positives.isEmpty else { return ([], [], []) }
    let partners = unlabeled.indices.map { $0 % positives.count }
    return (
      Array(positives),
      zip(unlabeled, partners).map { row, partner in
        Row(user: positives[partner].user, item: row.item, label: 0)
      }, partners
    )
  }

  /// The distinct items that a step of `method` reads of one shard, by kind of batch.
  static func items(_ kind: Kind, of method: Method, step: Int, shard: Int) -> [Int] {
    guard method == .bpr else { return rows(kind, step: step, shard: shard).map(\.item) }
    let pairs = pairs(step: step, shard: shard)
    return (kind == .labeled ? pairs.positives : pairs.unlabeled).map(\.item)
  }

  private let own: Range<Int>

  /// - Parameter own: The shards of this rank.
  init(own: Range<Int>) { self.own = own }

  func capacity(_ rows: StepRows) -> Int {
    (rows == .joint || rows == .pairs ? 20 : 10) * own.count
  }
  func labeledRows(in step: Int) -> Int { Self.count(.labeled, step: step) }
  func totalUnlabeled(of batch: StepBatch, in step: Int) -> Int {
    Self.count(.unlabeled, step: step)
  }

  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    let first = Self.userStarts[own.lowerBound]
    var end = 0
    for (local, shard) in own.enumerated() {
      let pairs = Self.pairs(step: position.step, shard: shard)
      if rows == .pairs {
        for (row, partner) in pairs.partners.enumerated() {
          unsafe batch.partners.pointer[end + pairs.positives.count + row] = UInt32(partner)
        }
      }
      let labeled =
        rows == .pairs
        ? pairs.positives
        : rows == .unlabeled ? [] : Self.rows(.labeled, step: position.step, shard: shard)
      let unlabeled =
        rows == .pairs
        ? pairs.unlabeled
        : rows == .labeled ? [] : Self.rows(.unlabeled, step: position.step, shard: shard)
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
