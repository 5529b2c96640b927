/// Each user's latest labeled row and the latest one of another item: what leave-one-out holds out.
///
/// Users with fewer than three labeled rows, or with one item only, keep all rows in train (Kang
/// and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018, do the same). Of rows at the
/// same time the one later in the file is the later one.
///
/// - Complexity: O(1) per row; 56 bytes per user.
struct LatestRows {
  /// Labeled rows that a user needs for any to be held out.
  private static let fewest = 3

  private struct Place {
    var time: UInt64 = 0
    /// In the order of the file; -1 for none.
    var row = -1
    var item: UInt32 = 0
  }

  private struct User {
    var latest = Place()
    var second = Place()
    var rows = 0
  }

  private var users: [User] = []

  /// Takes in the next labeled row of the file.
  ///
  /// - Parameters:
  ///   - row: Its index among all rows.
  ///   - user: By first appearance.
  ///   - item: Likewise.
  ///   - time: See ``TimeKey``.
  mutating func note(row: Int, user: Int, item: Int, time: UInt64) {
    while users.count <= user { users.append(User()) }
    let place = Place(time: time, row: row, item: UInt32(truncatingIfNeeded: item))
    users[user].rows += 1
    if users[user].latest.row < 0 {
      users[user].latest = place
    } else if time >= users[user].latest.time {
      // A row of the same item takes the place of the one before: two splits must not share it.
      if users[user].latest.item != place.item { users[user].second = users[user].latest }
      users[user].latest = place
    } else if place.item != users[user].latest.item,
      users[user].second.row < 0 || time >= users[user].second.time
    {
      users[user].second = place
    }
  }

  /// The split of a row.
  func split(ofRow row: Int, user: Int) -> Split {
    guard user < users.count, holdsOut(users[user]) else { return .train }
    return row == users[user].latest.row
      ? .test : row == users[user].second.row ? .valid : .train
  }

  /// Users with a row in valid and one in test.
  var heldOutUsers: Int { users.count { holdsOut($0) } }

  private func holdsOut(_ user: User) -> Bool {
    user.rows >= Self.fewest && user.second.row >= 0
  }
}
