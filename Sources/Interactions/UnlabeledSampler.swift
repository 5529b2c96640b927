import Randomness

/// Draws unlabeled items for the users of labeled rows of one shard.
///
/// Every draw is a function of (seed, epoch, global row, number of the draw), so it does not depend
/// on ranks or on which rows were drawn before.
package struct UnlabeledSampler: Sendable {
  /// Where unlabeled items come from.
  package enum Source: String, Sendable, CaseIterable {
    /// Uniformly from the items that the user did not meet in training; labels and exposures both
    /// count as met.
    case unmet
    /// Uniformly from the user's exposures without reaction; an item that was shown twice counts
    /// twice.
    case exposures
  }

  /// Written when a user has no unlabeled item.
  package static let none = UInt32.max

  private static let maximumTries = 32
  /// Draws of one item are numbered `item << drawBits`: two tries each, and the last for the exact
  /// draw.
  private static let drawBits = 5
  private static let exactDraw = maximumTries / 2

  private let shard: Shard
  private let source: Source
  private let random: Philox
  /// For draws of items that a user did not meet.
  private let filter: MetFilter?

  /// A sampler of one shard.
  ///
  /// - Parameters:
  ///   - shard: The users and what they met.
  ///   - source: Where items come from.
  ///   - seed: Of the run.
  package init(shard: Shard, source: Source = .unmet, seed: UInt64) {
    self.shard = shard
    self.source = source
    random = Philox(seed: seed, purpose: .unlabeled)
    filter = source == .unmet ? MetFilter(shard.met, itemCount: shard.itemCount) : nil
  }

  /// Whether every user with a labeled training row has an unlabeled item.
  ///
  /// - Complexity: O(labeled training rows of the shard).
  package var canAlwaysSupply: Bool {
    let users = unsafe shard.train.users
    return unsafe users.allSatisfy { user in
      switch source {
      case .unmet: unsafe shard.met[shard.local(user)].count < shard.itemCount
      case .exposures: unsafe !shard.exposures[shard.local(user)].isEmpty
      }
    }
  }

  /// Draws `perRow` items for each row.
  ///
  /// - Parameters:
  ///   - items: `(rows, perRow)`, overwritten with dense ids, or ``none`` for a user that has no
  ///     unlabeled item.
  ///   - rows: Labeled training rows of the shard, as the epoch order gives them.
  ///   - users: Each row's user, counted from `firstUser`; inside the shard, not checked.
  ///   - firstUser: A dense id; 0 when `users` are dense ids themselves.
  ///   - epoch: From 0.
  ///   - perRow: Items per row, at most 2²⁶.
  /// - Complexity: O(1) draws of O(log(met items)) each, expected; no allocation.
  package func sample(
    into items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>,
    users: UnsafeBufferPointer<UInt32>, firstUser: Int = 0, epoch: Int, perRow: Int = 1
  ) {
    precondition(rows.count == users.count, "every row has a user")
    precondition((0...1 << 26).contains(perRow), "items per row must be in 0 ... 2^26")
    let first = firstUser &- shard.users.lowerBound
    switch source {
    case .unmet:
      unsafe guess(into: items, rows: rows, epoch: epoch, perRow: perRow)
      if let filter {
        unsafe replaceMet(
          in: items, rows: rows, users: users, first: first, epoch: epoch, perRow: perRow, filter)
      }
    case .exposures:
      let exposures = shard.exposures
      for index in 0..<rows.count {
        let shown = unsafe exposures[first &+ Int(users[index])]
        let row = unsafe shard.firstTrainRow &+ rows[index]
        for draw in 0..<perRow {
          unsafe items[index &* perRow &+ draw] =
            unsafe shown.isEmpty
            ? Self.none
            : shown[random.integer(below: shown.count, epoch: epoch, row: row, draw: draw)]
        }
      }
    }
  }

  /// Writes the first try of every draw. Tries do not depend on each other or on memory, so they
  /// are made four at a time; almost all stand.
  private func guess(
    into items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>, epoch: Int,
    perRow: Int
  ) {
    for draw in 0..<perRow {
      unsafe random.fill(
        items + draw, below: shard.itemCount, epoch: epoch, rows: rows,
        firstRow: shard.firstTrainRow, draw: draw << Self.drawBits, step: perRow)
    }
  }

  /// Small enough for a list of as many draws to be on the stack without asking.
  private static let blockSize = 128

  /// Draws again wherever the first try is an item that the user met.
  ///
  /// The filter names the few draws that are worth a search; they are noted without a branch, which
  /// nothing could predict.
  private func replaceMet(
    in items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>,
    users: UnsafeBufferPointer<UInt32>, first: Int, epoch: Int, perRow: Int, _ filter: MetFilter
  ) {
    let (met, firstRow, bound) = (shard.met, shard.firstTrainRow, shard.itemCount)
    unsafe withUnsafeTemporaryAllocation(of: Int.self, capacity: Self.blockSize) { suspects in
      for draw in 0..<perRow {
        for start in stride(from: 0, to: rows.count, by: Self.blockSize) {
          var count = 0
          for index in start..<min(start &+ Self.blockSize, rows.count) {
            unsafe suspects[count] = index
            let item = unsafe items[index &* perRow &+ draw]
            count &+= unsafe filter.mayContain(item, of: first &+ Int(users[index])) ? 1 : 0
          }
          for suspect in 0..<count {
            let index = unsafe suspects[suspect]
            let user = unsafe first &+ Int(users[index])
            let known = unsafe met[user]
            let slot = index &* perRow &+ draw
            if unsafe 2 &* known.count > bound || isMet(items[slot], known, user, filter) {
              unsafe items[slot] = unsafe unmet(
                known, epoch, firstRow &+ rows[index], draw, user, filter)
            }
          }
        }
      }
    }
  }

  @inline(__always)
  private func isMet(
    _ item: UInt32, _ met: UnsafeBufferPointer<UInt32>, _ user: Int, _ filter: MetFilter
  ) -> Bool {
    unsafe filter.mayContain(item, of: user)
      && (filter.isExact(for: user) || Self.contains(met, item))
  }

  @inline(__always)
  private static func item(_ low: UInt32, _ high: UInt32, below bound: UInt64) -> UInt32 {
    let word = UInt64(low) | UInt64(high) << 32
    return UInt32(truncatingIfNeeded: bound.multipliedFullWidth(by: word).high)
  }

  /// One item outside the sorted set `met`.
  ///
  /// Rejection is uniform over the rest however often it is tried, and so is the exact draw: the
  /// mixture of both is.
  @inline(__always)
  private func unmet(
    _ met: UnsafeBufferPointer<UInt32>, _ epoch: Int, _ row: Int, _ draw: Int, _ user: Int,
    _ filter: MetFilter
  ) -> UInt32 {
    let bound = UInt64(truncatingIfNeeded: shard.itemCount)
    let first = draw << Self.drawBits
    if 2 &* met.count <= shard.itemCount {
      for block in 0..<Self.maximumTries / 2 {
        let words = random.words(epoch: epoch, row: row, draw: first | block)
        let item = Self.item(words[0], words[1], below: bound)
        if unsafe !isMet(item, met, user, filter) { return item }
        let other = Self.item(words[2], words[3], below: bound)
        if unsafe !isMet(other, met, user, filter) { return other }
      }
    }
    let rest = shard.itemCount - met.count
    guard rest > 0 else { return Self.none }
    let rank = random.integer(below: rest, epoch: epoch, row: row, draw: first | Self.exactDraw)
    return unsafe Self.unmet(met, rank: rank)
  }

  @inline(__always)
  private static func contains(_ met: UnsafeBufferPointer<UInt32>, _ item: UInt32) -> Bool {
    // Without a branch on what is compared: such a branch is mispredicted every other time.
    var start = 0
    var count = met.count
    while count > 1 {
      let half = count >> 1
      start = unsafe start &+ (met[start &+ half] <= item ? half : 0)
      count &-= half
    }
    return unsafe count == 1 && met[start] == item
  }

  /// The `rank`-th item, from 0, outside the sorted set `met`.
  ///
  /// `met[i] - i` items below `met[i]` are outside; it ascends, so as many met items lie below the
  /// wanted one as have `met[i] - i <= rank`.
  private static func unmet(_ met: UnsafeBufferPointer<UInt32>, rank: Int) -> UInt32 {
    var (low, high) = (0, met.count)
    while low < high {
      let middle = (low &+ high) >> 1
      if unsafe Int(met[middle]) &- middle <= rank { low = middle &+ 1 } else { high = middle }
    }
    return UInt32(truncatingIfNeeded: rank &+ low)
  }
}
