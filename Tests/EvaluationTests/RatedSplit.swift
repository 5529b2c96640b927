import Evaluation
import Fabric
import Foundation
import Storage

/// A split of user, item, label rows, from which each rank borrows its shards.
struct RatedSplit: Sendable {
  struct Row: Sendable {
    let user: UInt32
    let item: UInt32
    let label: UInt8

    init(_ user: UInt32, _ item: UInt32, _ label: UInt8) {
      (self.user, self.item, self.label) = (user, item, label)
    }
  }

  let shardCount: Int
  private(set) var users: [UInt32] = []
  private(set) var items: [UInt32] = []
  private(set) var labels: [UInt8] = []
  private var offsets = [0]

  init(shards: [[Row]]) {
    shardCount = shards.count
    for rows in shards {
      users += rows.map(\.user)
      items += rows.map(\.item)
      labels += rows.map(\.label)
      offsets.append(users.count)
    }
  }

  /// Reads `user⇥item⇥rating` lines with whole numbers; a rating of 3 or more is a positive. Each
  /// user goes to the shard `user % shardCount`, sorted by user.
  init(ratings path: String, shardCount: Int) throws {
    var shards = [[Row]](repeating: [], count: shardCount)
    var (fields, field) = ([UInt32](repeating: 0, count: 3), 0)
    for byte in try Files.read(path) {
      switch byte {
      case UInt8(ascii: "\t"):
        field += 1
      case UInt8(ascii: "\n"):
        let row = Row(fields[0], fields[1], fields[2] >= 3 ? 1 : 0)
        shards[Int(row.user) % shardCount].append(row)
        (fields[0], fields[1], fields[2], field) = (0, 0, 0, 0)
      default:
        fields[field] = fields[field] * 10 + UInt32(byte - UInt8(ascii: "0"))
      }
    }
    self.init(shards: shards.map { $0.sorted { $0.user < $1.user } })
  }

  /// Lends the shards of one rank.
  func withRows<T>(
    of rank: Int, ranks: Int, _ body: ([BaselineScorers.Rows]) throws -> T
  ) throws -> T {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    return unsafe try users.withUnsafeBufferPointer { users in
      unsafe try items.withUnsafeBufferPointer { items in
        unsafe try labels.withUnsafeBufferPointer { labels in
          try body(
            tree.shards(of: rank).map { shard in
              let range = offsets[shard]..<offsets[shard + 1]
              return unsafe BaselineScorers.Rows(
                users: UnsafeBufferPointer(rebasing: users[range]),
                items: UnsafeBufferPointer(rebasing: items[range]),
                labels: UnsafeBufferPointer(rebasing: labels[range]))
            })
        }
      }
    }
  }

  /// What every rank gets from `body`, in rank order.
  func onRanks<T: Sendable>(
    _ ranks: Int,
    _ body: @escaping @Sendable ([BaselineScorers.Rows], any ProcessGroup) throws -> T
  ) throws -> [T] {
    try LocalGroup.run(ranks: ranks) { group in
      try withRows(of: group.rank, ranks: ranks) { try body($0, group) }
    }
  }

  /// The rows as a split to evaluate, with scores from `score`.
  func scored(_ score: (_ user: UInt32, _ item: UInt32) -> Float) -> LabeledSplit {
    LabeledSplit(
      shards: (0..<shardCount).map { shard in
        (offsets[shard]..<offsets[shard + 1]).map { row in
          LabeledRow(user: users[row], label: labels[row], score: score(users[row], items[row]))
        }
      })
  }
}
