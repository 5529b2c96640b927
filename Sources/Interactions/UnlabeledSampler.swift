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
  ///   - users: The dense id of each row's user; inside the shard, not checked.
  ///   - epoch: From 0.
  ///   - perRow: Items per row, at most 2²⁶.
  /// - Complexity: O(1) draws of O(log(met items)) each, expected; no allocation.
  package func sample(
    into items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>,
    users: UnsafeBufferPointer<UInt32>, epoch: Int, perRow: Int = 1
  ) {
    precondition(rows.count == users.count, "every row has a user")
    precondition((0...1 << 26).contains(perRow), "items per row must be in 0 ... 2^26")
    switch source {
    case .unmet:
      unsafe guess(into: items, rows: rows, epoch: epoch, perRow: perRow)
      unsafe replaceMet(in: items, rows: rows, users: users, epoch: epoch, perRow: perRow)
    case .exposures:
      let exposures = shard.exposures
      for index in 0..<rows.count {
        let shown = unsafe exposures[shard.local(users[index])]
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

  /// Writes the first try of every draw. Tries do not depend on each other or on memory, so this
  /// pass keeps the multipliers busy; almost all tries stand.
  private func guess(
    into items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>, epoch: Int,
    perRow: Int
  ) {
    let bound = UInt64(truncatingIfNeeded: shard.itemCount)
    let firstRow = shard.firstTrainRow
    for index in 0..<rows.count {
      let row = unsafe firstRow &+ rows[index]
      for draw in 0..<perRow {
        let words = random.words(epoch: epoch, row: row, draw: draw << Self.drawBits)
        unsafe items[index &* perRow &+ draw] = Self.item(words[0], words[1], below: bound)
      }
    }
  }

  /// Draws again wherever the first try is an item that the user met.
  private func replaceMet(
    in items: UnsafeMutablePointer<UInt32>, rows: UnsafeBufferPointer<Int>,
    users: UnsafeBufferPointer<UInt32>, epoch: Int, perRow: Int
  ) {
    let met = shard.met
    let itemCount = shard.itemCount
    let firstRow = shard.firstTrainRow
    for index in 0..<rows.count {
      let known = unsafe met[shard.local(users[index])]
      let isCrowded = 2 &* known.count > itemCount
      for draw in 0..<perRow {
        let slot = index &* perRow &+ draw
        if unsafe isCrowded || Self.contains(known, items[slot]) {
          unsafe items[slot] = unsafe unmet(known, epoch, firstRow &+ rows[index], draw)
        }
      }
    }
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
    _ met: UnsafeBufferPointer<UInt32>, _ epoch: Int, _ row: Int, _ draw: Int
  ) -> UInt32 {
    let bound = UInt64(truncatingIfNeeded: shard.itemCount)
    let first = draw << Self.drawBits
    if 2 &* met.count <= shard.itemCount {
      for block in 0..<Self.maximumTries / 2 {
        let words = random.words(epoch: epoch, row: row, draw: first | block)
        let item = Self.item(words[0], words[1], below: bound)
        if unsafe !Self.contains(met, item) { return item }
        let other = Self.item(words[2], words[3], below: bound)
        if unsafe !Self.contains(met, other) { return other }
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
