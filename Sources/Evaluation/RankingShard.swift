package import Interactions

/// Which items a user must not get again in a ranking, by the command-line value.
package enum RankingMask: String, Sendable, CaseIterable {
  case none
  /// Those met in training: labeled rows and exposures.
  case train
  /// Beside them the labeled ones of valid.
  case trainAndValid = "train,valid"
}

/// What becomes of a positive held-out item that is masked and so cannot be ranked, by the
/// command-line value.
package enum MaskedPositives: String, Sendable, CaseIterable {
  /// It is not relevant.
  case dropped
  /// It is relevant, and no ranking finds it. Some published tables count so.
  case missed
}

/// The users of one shard that a ranking is judged by, with what they must and must not get.
///
/// Relevant are the items of a user's positive held-out rows. Users without relevant items are left
/// out.
package struct RankingShard: Sendable {
  /// Dense ids, ascending.
  package let users: [UInt32]
  /// Place `p` of ``users`` has `relevant[relevantStarts[p] ..< relevantStarts[p + 1]]`.
  package let relevantStarts: [Int]
  /// Ascending for each user, each once, those that can be ranked.
  package let relevant: [UInt32]
  /// How many relevant items of each user cannot.
  package let missed: [Int]
  private let firstUser: Int
  private let met: CompressedRows?
  private let valid: ItemsByUser?

  /// - Parameters:
  ///   - shard: The users and what they met.
  ///   - heldOut: The shard's rows to judge by.
  ///   - mask: What users must not get again.
  ///   - maskedPositives: What becomes of positive rows that the mask hides.
  /// - Complexity: O(rows · log(rows of a user)).
  package init(
    _ shard: Shard, judgedBy heldOut: LabeledColumns, mask: RankingMask,
    maskedPositives: MaskedPositives = .dropped
  ) {
    firstUser = shard.users.lowerBound
    met = mask == .none ? nil : shard.met
    valid =
      unsafe mask == .trainAndValid
      ? ItemsByUser(
        users: shard.users, rowUsers: shard.valid.users, rowItems: shard.valid.items) : nil
    let labels = unsafe heldOut.labels
    let positives = unsafe ItemsByUser(
      users: shard.users, rowUsers: heldOut.users, rowItems: heldOut.items,
      include: { unsafe labels[$0] == 1 })
    var (users, starts, relevant, missed): ([UInt32], [Int], [UInt32], [Int]) = ([], [0], [], [])
    for user in shard.users {
      var hidden = 0
      for item in positives[user] {
        if Self.isMasked(item, user, shard, met, valid) {
          hidden += maskedPositives == .missed ? 1 : 0
        } else {
          relevant.append(item)
        }
      }
      guard relevant.count + hidden > starts[starts.count - 1] else { continue }
      users.append(UInt32(user))
      starts.append(relevant.count)
      missed.append(hidden)
    }
    (self.users, relevantStarts, self.relevant, self.missed) = (users, starts, relevant, missed)
  }

  private static func isMasked(
    _ item: UInt32, _ user: Int, _ shard: Shard, _ met: CompressedRows?, _ valid: ItemsByUser?
  ) -> Bool {
    if let met, unsafe ascending(met[user - shard.users.lowerBound], contain: item) { return true }
    return valid.map { ascending($0[user], contain: item) } ?? false
  }

  /// At least as many items as ``writeMasked(of:into:)`` writes.
  package func maskedBound(of user: UInt32) -> Int {
    unsafe (met?[Int(user) - firstUser].count ?? 0) + (valid?[Int(user)].count ?? 0)
  }

  /// Writes the items that a user must not get, ascending, each once.
  ///
  /// - Parameters:
  ///   - user: One of the shard.
  ///   - target: Room for ``maskedBound(of:)`` items.
  /// - Returns: How many there are.
  /// - Complexity: O(items); no allocation.
  package func writeMasked(of user: UInt32, into target: UnsafeMutablePointer<UInt32>) -> Int {
    guard let met else { return 0 }
    let first = unsafe met[Int(user) - firstUser]
    guard let valid else {
      for place in 0..<first.count { unsafe target[place] = unsafe first[place] }
      return first.count
    }
    let second = valid[Int(user)]
    var (count, place, other) = (0, 0, second.startIndex)
    while place < first.count || other < second.endIndex {
      let left = unsafe place < first.count ? first[place] : .max
      let right = other < second.endIndex ? second[other] : .max
      unsafe target[count] = min(left, right)
      count += 1
      // One that is in both lists is written once.
      if left <= right { place += 1 }
      if right <= left { other += 1 }
    }
    return count
  }
}
