/// The best items of users by blocks of users: whose scores are products of vectors, or are given.
///
///     score[u, i] = Σ_k user[u, k] · item[i, k]
///
/// `U` users of a block, `I` items, vectors of width `K`, `k` places. Tiles of 128 users by 512
/// items stay in the second-level cache and are scanned before the next one is made, so no matrix
/// `(U, I)` ever exists. The shapes of the products depend on `U`, `I` and `K` alone, those of tiles
/// on `U` and `I`: callers cut blocks inside a shard, so that scores and rankings do not depend on
/// the number of ranks.
///
/// Of equal scores the smaller item id ranks first.
///
/// Safe to hold: it owns its memory, and blocks are checked against their size.
@safe
package final class TopKRanking {
  /// The most users of a block.
  package static let blockUsers = 128
  /// The most items of a tile.
  package static let tileItems = 512

  /// Ascending item ids of the users of a block.
  ///
  /// Borrowed: whoever makes a value keeps the buffers alive while it is used.
  @safe
  package struct Lists {
    /// User `u` has `items[starts[u] ..< starts[u + 1]]`; one more than there are users.
    package let starts: UnsafePointer<Int>
    package let items: UnsafePointer<UInt32>

    package init(starts: UnsafePointer<Int>, items: UnsafePointer<UInt32>) {
      unsafe self.starts = unsafe starts
      unsafe self.items = unsafe items
    }

    subscript(user: Int) -> UnsafeBufferPointer<UInt32> {
      unsafe UnsafeBufferPointer(
        start: items + starts[user], count: starts[user + 1] - starts[user])
    }
  }

  /// `k`: that asked for, or the number of items if there are fewer.
  package let limit: Int
  /// `(U, K)`: the vectors of the block, for the caller to write.
  package let users: AlignedBuffer<Float>
  /// `(U, k)`: after ``rank(count:excluding:targets:)`` the best items of each user.
  package let best: AlignedBuffer<UInt32>
  /// `(U)`: how many of them there are.
  package let bestCounts: AlignedBuffer<Int>
  /// `(U)`: the rank, from 1, of the first target among all items that are not excluded; 0 for a
  /// user without targets.
  package let firstRanks: AlignedBuffer<Int>

  /// `(U, items)`: the scores of a tile, for the caller to write if they are given.
  package let tile = AlignedBuffer<Float>(count: blockUsers * tileItems)

  private let items: AlignedBuffer<Float>
  private let itemCount: Int
  private let width: Int
  private let selection: TopKSelection
  /// The best target of each user so far, 0 for none: the word of no item.
  private let targetWords = AlignedBuffer<UInt64>(count: blockUsers)
  private let targetCursors = AlignedBuffer<Int>(count: blockUsers)

  /// - Parameters:
  ///   - items: `(I, K)`: the vectors of all items.
  ///   - itemCount: `I`.
  ///   - width: `K`.
  ///   - limit: `k`, at least 1. Memory grows by 2.5 KiB for each.
  package init(items: AlignedBuffer<Float>, itemCount: Int, width: Int, limit: Int) {
    precondition(items.count >= itemCount * width, "one vector for each item")
    self.items = items
    self.itemCount = itemCount
    self.width = width
    self.limit = max(1, min(limit, itemCount))
    users = AlignedBuffer(count: Self.blockUsers * width)
    best = AlignedBuffer(count: Self.blockUsers * self.limit)
    bestCounts = AlignedBuffer(count: Self.blockUsers)
    firstRanks = AlignedBuffer(count: Self.blockUsers)
    selection = TopKSelection(rows: Self.blockUsers, limit: self.limit)
  }

  /// For scores that are given.
  ///
  /// - Parameters:
  ///   - itemCount: `I`.
  ///   - limit: `k`, at least 1.
  package convenience init(itemCount: Int, limit: Int) {
    self.init(items: AlignedBuffer(count: 0), itemCount: itemCount, width: 0, limit: limit)
  }

  /// Ranks the items of the users of a block by products of their vectors.
  ///
  /// - Parameters:
  ///   - count: `U`; their vectors are in ``users``.
  ///   - excluded: Items that a user must not get.
  ///   - targets: Items whose first rank is wanted, none of them excluded.
  /// - Returns: The first user with a score that is not a number, `nil` if there is none.
  /// - Complexity: O(U · I · K) time, twice that when the first target of some user is not among
  ///   the `k` best; no allocation, no communication.
  package func rank(count: Int, excluding excluded: Lists, targets: Lists) -> Int? {
    rank(count: count, excluding: excluded, targets: targets) { columns in
      unsafe MatrixProduct.multiply(
        rows: count, columns: columns.count, inner: width, users.pointer,
        items.pointer + columns.lowerBound * width, into: tile.pointer, transposeB: true)
    }
  }

  /// Ranks the items of the users of a block by scores that are given.
  ///
  /// - Parameters:
  ///   - count: `U`.
  ///   - excluded: Items that a user must not get.
  ///   - targets: Items whose first rank is wanted, none of them excluded.
  ///   - score: Writes the scores `(U, items.count)` of consecutive items into ``tile``; called once
  ///     for each tile, or twice, with the same items, for the same scores.
  /// - Returns: The first user with a score that is not a number, `nil` if there is none.
  /// - Throws: What `score` throws.
  /// - Complexity: O(U · I) time beside that of `score`; no allocation, no communication.
  @inline(__always)
  package func rank(
    count: Int, excluding excluded: Lists, targets: Lists,
    scores score: (_ items: Range<Int>) throws -> Void
  ) rethrows -> Int? {
    precondition(count >= 0 && count <= Self.blockUsers, "a block has at most 128 users")
    selection.clear()
    for user in 0..<count {
      unsafe targetWords.pointer[user] = 0
      unsafe targetCursors.pointer[user] = 0
    }
    var firstNaN = count
    try forEachTile(score) { firstItem, columns in
      for user in 0..<count {
        let scores = unsafe tile.pointer + user * columns
        let areNumbers = unsafe selection.scan(
          row: user, scores: scores, count: columns, firstItem: firstItem,
          excluded: excluded[user])
        if !areNumbers { firstNaN = min(firstNaN, user) }
        unsafe noteTargets(targets[user], of: user, scores, firstItem, columns)
      }
    }
    if firstNaN < count { return firstNaN }
    var arePlaced = true
    for user in 0..<count {
      unsafe bestCounts.pointer[user] = unsafe selection.finish(
        row: user, into: best.pointer + user * limit)
      let word = unsafe targetWords.pointer[user]
      let rank = word == 0 ? 0 : selection.rank(of: word, row: user)
      unsafe firstRanks.pointer[user] = rank ?? 0
      if rank != nil { unsafe targetWords.pointer[user] = 0 } else { arePlaced = false }
    }
    if !arePlaced { try countBetter(than: count, excluded, score) }
    return nil
  }

  /// Makes the scores of the block, tile by tile, `(U, columns)` each.
  @inline(__always)
  private func forEachTile(
    _ score: (_ items: Range<Int>) throws -> Void,
    _ body: (_ firstItem: Int, _ columns: Int) -> Void
  ) rethrows {
    for firstItem in stride(from: 0, to: itemCount, by: Self.tileItems) {
      let columns = min(Self.tileItems, itemCount - firstItem)
      try score(firstItem..<firstItem + columns)
      body(firstItem, columns)
    }
  }

  /// Keeps the best of the targets inside a tile.
  @inline(__always)
  private func noteTargets(
    _ targets: UnsafeBufferPointer<UInt32>, of user: Int, _ scores: UnsafePointer<Float>,
    _ firstItem: Int, _ columns: Int
  ) {
    var (cursor, best) = unsafe (targetCursors.pointer[user], targetWords.pointer[user])
    let end = firstItem &+ columns
    while cursor < targets.count, unsafe Int(truncatingIfNeeded: targets[cursor]) < end {
      let item = unsafe targets[cursor]
      best = unsafe max(
        best, TopKWord.make(scores[Int(truncatingIfNeeded: item) &- firstItem], item))
      cursor &+= 1
    }
    unsafe targetCursors.pointer[user] = cursor
    unsafe targetWords.pointer[user] = best
  }

  /// Finds the ranks of first targets that are not among the best, from the same scores made
  /// again: keeping them would take memory for all items.
  private func countBetter(
    than count: Int, _ excluded: Lists,
    _ score: (_ items: Range<Int>) throws -> Void
  ) rethrows {
    for user in 0..<count {
      unsafe targetCursors.pointer[user] = 0
      if unsafe targetWords.pointer[user] != 0 { unsafe firstRanks.pointer[user] = 1 }
    }
    try forEachTile(score) { firstItem, columns in
      for user in 0..<count where unsafe targetWords.pointer[user] != 0 {
        unsafe firstRanks.pointer[user] += better(
          than: targetWords.pointer[user], tile.pointer + user * columns, firstItem, columns,
          excluded: excluded[user], from: &targetCursors.pointer[user])
      }
    }
  }

  /// Items of a tile that rank before `word`, without those excluded.
  @inline(__always)
  private func better(
    than word: UInt64, _ scores: UnsafePointer<Float>, _ firstItem: Int, _ columns: Int,
    excluded: UnsafeBufferPointer<UInt32>, from cursor: inout Int
  ) -> Int {
    let score = TopKWord.score(of: word)
    let item = Int(truncatingIfNeeded: TopKWord.item(of: word))
    // Smaller ids rank before the target with the same score, larger ones do not.
    let border = min(max(item &- firstItem, 0), columns)
    var better = unsafe countScores(scores, border, above: score, orEqual: true)
    unsafe better &+= countScores(scores + border, columns &- border, above: score, orEqual: false)
    while cursor < excluded.count {
      let column = unsafe Int(truncatingIfNeeded: excluded[cursor]) &- firstItem
      guard column < columns else { break }
      let isCounted = unsafe !scores[column].isNaN
      if isCounted, unsafe TopKWord.make(scores[column], excluded[cursor]) > word { better &-= 1 }
      cursor &+= 1
    }
    return better
  }
}

/// How many of `count` scores are above `bound`, or equal to it when `orEqual`.
@inline(__always)
private func countScores(
  _ scores: UnsafePointer<Float>, _ count: Int, above bound: Float, orEqual: Bool
) -> Int {
  let bounds = SIMD8(repeating: bound)
  var (lanes, column) = (SIMD8<Int32>.zero, 0)
  while column &+ 8 <= count {
    let values = unsafe load8(scores + column)
    // A lane that holds is −1.
    unsafe lanes &-= unsafeBitCast(
      orEqual ? values .>= bounds : values .> bounds, to: SIMD8<Int32>.self)
    column &+= 8
  }
  var total = Int(lanes.wrappedSum())
  for index in column..<count
  where unsafe scores[index] > bound || orEqual && scores[index] == bound {
    total &+= 1
  }
  return total
}
