import Interactions

/// The users of one shard as a model of sequences is trained on them.
///
/// A row reads the items that its user liked before it. What counts of a user are the last `n` items
/// that some labeled row has before it, its *places*, and the rows that have at least one of them
/// before them; users without such a row are left out.
struct ShardSequences {
  /// One user.
  struct User {
    /// A dense id.
    let id: UInt32
    /// The user's places, as part of the user's sequence.
    let places: Range<Int>
    /// Its rows in ``rows``.
    let rows: Range<Int>
  }

  /// One labeled row of a user.
  struct Row: BitwiseCopyable {
    /// Local to the shard.
    let number: UInt32
    /// Items of the user's sequence before it.
    let position: UInt32
  }

  let shard: Shard
  /// In the order of their ids.
  let users: [User]
  /// User after user, the earliest first.
  let rows: [Row]

  /// - Parameters:
  ///   - shard: Of a dataset with an order in time.
  ///   - length: `n`.
  /// - Complexity: O(rows · log(rows of a user)).
  init(_ shard: Shard, length: Int) {
    guard let sequences = shard.sequences else {
      preconditionFailure("the dataset keeps no order in time")
    }
    self.shard = shard
    var byUser = [[Row]](repeating: [], count: shard.users.count)
    for row in 0..<shard.train.count {
      let position = unsafe sequences.positions[row]
      guard position > 0 else { continue }
      byUser[unsafe shard.local(shard.train.users[row])].append(
        Row(number: UInt32(row), position: position))
    }
    var (users, rows): ([User], [Row]) = ([], [])
    for (local, own) in byUser.enumerated() {
      guard let end = own.map(\.position).max() else { continue }
      let start = max(0, Int(end) - length)
      let counted = own.filter { Int($0.position) > start }.sorted {
        ($0.position, $0.number) < ($1.position, $1.number)
      }
      users.append(
        User(
          id: UInt32(shard.users.lowerBound + local), places: start..<Int(end),
          rows: rows.count..<rows.count + counted.count))
      rows += counted
    }
    self.users = users
    self.rows = rows
  }

  /// The most rows that `count` users have together.
  func mostRows(of count: Int) -> Int {
    users.map(\.rows.count).sorted(by: >).prefix(count).reduce(0, +)
  }

  /// The most places that `count` users have together.
  func mostPlaces(of count: Int) -> Int {
    users.map(\.places.count).sorted(by: >).prefix(count).reduce(0, +)
  }
}
