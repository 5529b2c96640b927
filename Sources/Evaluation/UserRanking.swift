/// The rows of one shard, by user, each user's from the lowest score to the highest.
struct UserRanking {
  /// `key << 1 | label` for each row; see ``ScoreOrder``.
  let rows: [UInt64]
  /// The rows of user number `u` of the shard are `offsets[u] ..< offsets[u + 1]`.
  let offsets: [Int]

  /// Sorts all rows by score at once and hands them out to their users, in order.
  ///
  /// - Parameter shard: Rows of one user stand together; fewer than 2³¹ users.
  /// - Complexity: O(rows), also when one user has them all; 16 bytes for each row.
  init(_ shard: ScoredShard) {
    let count = shard.count
    var offsets = [0]
    var words = unsafe [UInt64](unsafeUninitializedCapacity: count) { words, initialized in
      var user: UInt64 = 0
      for row in 0..<count {
        if row > 0, unsafe shard.users[row] != shard.users[row - 1] {
          user += 1
          offsets.append(row)
        }
        let key = unsafe UInt64(ScoreOrder.key(of: shard.scores[row]))
        unsafe words.initializeElement(
          at: row, to: key << 32 | user << 1 | UInt64(shard.labels[row]))
      }
      initialized = count
    }
    precondition(offsets.count < 1 << 31, "a shard has fewer than 2³¹ users")
    var cursors = offsets
    if count > 0 { offsets.append(count) }
    var rows = [UInt64](repeating: 0, count: count)
    unsafe words.withUnsafeMutableBufferPointer { words in
      unsafe rows.withUnsafeMutableBufferPointer { rows in
        unsafe ScoreOrder.sort(words, scratch: rows)
        unsafe cursors.withUnsafeMutableBufferPointer { cursors in
          for index in 0..<count {
            let word = unsafe words[index]
            let user = Int(truncatingIfNeeded: word >> 1 & 0x7FFF_FFFF)
            unsafe rows[cursors[user]] = (word >> 32) << 1 | word & 1
            unsafe cursors[user] &+= 1
          }
        }
      }
    }
    self.rows = rows
    self.offsets = offsets
  }
}
