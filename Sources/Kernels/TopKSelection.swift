/// The `k` best items of each user of a block, found in one pass over their scores.
///
/// A user has room for more candidates than `k`. Scores that do not exceed the user's threshold
/// are passed over, 32 at a time; the others are pushed, and when the room is used up all but the
/// `k` best are dropped and the threshold rises to the last of them. Of equal scores the smaller
/// item id ranks first.
///
/// Safe to hold: it owns its memory, and rows are checked against the number of rows.
@safe
package final class TopKSelection {
  /// `k`.
  package let limit: Int
  /// Users that are ranked side by side.
  package let rows: Int
  private let room: Int
  private let words: AlignedBuffer<UInt64>
  private let counts: AlignedBuffer<Int>
  private let thresholds: AlignedBuffer<Float>
  /// Where each user stands in the list of excluded items.
  private let cursors: AlignedBuffer<Int>

  /// - Parameters:
  ///   - rows: Users side by side, at least 1.
  ///   - limit: `k`, at least 1.
  package init(rows: Int, limit: Int) {
    precondition(rows >= 1 && limit >= 1, "a selection has at least one row and one place")
    self.rows = rows
    self.limit = limit
    // More room means fewer rounds of dropping, and a threshold that lags further behind.
    room = (limit + max(limit, 64) + 7) / 8 * 8
    words = AlignedBuffer(count: rows * room)
    counts = AlignedBuffer(count: rows)
    thresholds = AlignedBuffer(count: rows)
    cursors = AlignedBuffer(count: rows)
    clear()
  }

  /// Forgets all candidates.
  package func clear() {
    for row in 0..<rows {
      unsafe counts.pointer[row] = 0
      unsafe cursors.pointer[row] = 0
      // Nothing is at most NaN: the first candidates are all pushed.
      unsafe thresholds.pointer[row] = .nan
    }
  }

  /// Takes in a user's scores of consecutive items.
  ///
  /// - Parameters:
  ///   - row: The user.
  ///   - scores: `(count)`.
  ///   - count: Items.
  ///   - firstItem: The id of the first; above all items that this user was given before.
  ///   - excluded: All items that this user must not get, ascending; the same at every call.
  /// - Returns: Whether all scores are numbers. Those of excluded items do not matter.
  /// - Complexity: O(count) for scores in no particular order; no allocation.
  package func scan(
    row: Int, scores: UnsafePointer<Float>, count: Int, firstItem: Int,
    excluded: UnsafeBufferPointer<UInt32>
  ) -> Bool {
    precondition(row >= 0 && row < rows, "rows must be in 0 ..< rows")
    var candidates = unsafe Candidates(
      words: words.pointer + row * room, count: counts.pointer[row], limit: limit, room: room,
      threshold: thresholds.pointer[row], cursor: cursors.pointer[row], excluded: excluded)
    var column = 0
    while column &+ 32 <= count {
      let (start, item) = unsafe (scores + column, firstItem &+ column)
      let bound = SIMD8(repeating: candidates.threshold)
      let (first, second) = unsafe (load8(start) .<= bound, load8(start + 8) .<= bound)
      let (third, fourth) = unsafe (load8(start + 16) .<= bound, load8(start + 24) .<= bound)
      if !areAllSet(first .& second .& third .& fourth) {
        if !areAllSet(first) { unsafe candidates.take(start, item) }
        if !areAllSet(second) { unsafe candidates.take(start + 8, item &+ 8) }
        if !areAllSet(third) { unsafe candidates.take(start + 16, item &+ 16) }
        if !areAllSet(fourth) { unsafe candidates.take(start + 24, item &+ 24) }
      }
      column &+= 32
    }
    while column < count {
      candidates.makeRoom()
      for _ in column..<min(column &+ 8, count) {
        unsafe candidates.push(scores[column], firstItem &+ column)
        column &+= 1
      }
    }
    candidates.settle()
    unsafe counts.pointer[row] = candidates.count
    unsafe thresholds.pointer[row] = candidates.threshold
    unsafe cursors.pointer[row] = candidates.cursor
    return !candidates.hasNaN
  }

  /// Orders the best items of a user; nothing may be taken in afterwards until ``clear()``.
  ///
  /// - Parameters:
  ///   - row: The user.
  ///   - items: `(limit)`: the ids, the best first.
  /// - Returns: How many there are: `limit`, or all items that are not excluded.
  /// - Complexity: O(limit · log limit) on average; no allocation.
  package func finish(row: Int, into items: UnsafeMutablePointer<UInt32>) -> Int {
    precondition(row >= 0 && row < rows, "rows must be in 0 ..< rows")
    let (words, count) = unsafe (words.pointer + row * room, counts.pointer[row])
    if count > limit { unsafe TopKOrder.select(words, count: count, limit: limit) }
    let kept = min(count, limit)
    unsafe TopKOrder.sort(words, count: kept)
    for place in 0..<kept { unsafe items[place] = unsafe TopKWord.item(of: words[place]) }
    unsafe counts.pointer[row] = kept
    return kept
  }

  /// The rank, from 1, of a scored item among those ``finish(row:into:)`` ordered; `nil` when it is
  /// not among them.
  func rank(of word: UInt64, row: Int) -> Int? {
    let words = unsafe words.pointer + row * room
    var (low, high) = unsafe (0, counts.pointer[row])
    while low < high {
      let middle = (low + high) / 2
      if unsafe words[middle] > word { low = middle + 1 } else { high = middle }
    }
    return unsafe low < counts.pointer[row] && words[low] == word ? low + 1 : nil
  }
}

/// One user's candidates while scores pass by.
///
/// Borrowed from a selection for one call: there is room for 8 more before 8 are pushed, which
/// makes its use safe.
@safe
private struct Candidates {
  let words: UnsafeMutablePointer<UInt64>
  var count: Int
  let limit: Int
  let room: Int
  var threshold: Float
  var cursor: Int
  let excluded: UnsafeBufferPointer<UInt32>
  var hasNaN = false
  /// The first of them that are words and known not to be excluded.
  private var settled: Int

  init(
    words: UnsafeMutablePointer<UInt64>, count: Int, limit: Int, room: Int, threshold: Float,
    cursor: Int, excluded: UnsafeBufferPointer<UInt32>
  ) {
    unsafe self.words = unsafe words
    (self.count, settled) = (count, count)
    (self.limit, self.room) = (limit, room)
    (self.threshold, self.cursor) = (threshold, cursor)
    unsafe self.excluded = unsafe excluded
  }

  /// Pushes those of 8 scores that get past the threshold. An equal one does not: its id is larger
  /// than those of the items that set the threshold. What is not a number does.
  @inline(__always)
  mutating func take(_ scores: UnsafePointer<Float>, _ firstItem: Int) {
    makeRoom()
    let (words, bound) = unsafe (words, threshold)
    let complement = ~UInt64(truncatingIfNeeded: firstItem) & 0xFFFF_FFFF
    var end = count
    for lane in 0..<8 {
      // Every word is written, and those that count move the end: no branch to mispredict.
      let score = unsafe scores[lane]
      unsafe words[end] =
        UInt64(score.bitPattern) &<< 32 | (complement &- UInt64(truncatingIfNeeded: lane))
      end &+= oneIf(!(score <= bound))
    }
    count = end
  }

  /// Pushes one score if it gets past the threshold.
  @inline(__always)
  mutating func push(_ score: Float, _ item: Int) {
    if score <= threshold { return }
    unsafe words[count] =
      UInt64(score.bitPattern) &<< 32 | (~UInt64(truncatingIfNeeded: item) & 0xFFFF_FFFF)
    count &+= 1
  }

  /// Makes sure that 8 more fit, by dropping all but the best if they do not.
  @inline(__always)
  mutating func makeRoom() {
    if count &+ 8 > room { dropRest() }
  }

  @inline(never)
  private mutating func dropRest() {
    settle()
    guard count > limit else { return }
    unsafe TopKOrder.select(words, count: count, limit: limit)
    (count, settled) = (limit, limit)
    threshold = unsafe TopKWord.score(of: words[limit - 1])
  }

  /// Takes the excluded items out of those pushed since the last time, makes words of the others,
  /// and looks for scores that are not numbers. Until then the bits of a score stand in its word as
  /// they are: most are pushed and dropped by the next lane.
  mutating func settle() {
    var (end, cursor, hasNaN) = (settled, self.cursor, self.hasNaN)
    let excludedCount = unsafe excluded.count
    for index in settled..<count {
      let pushed = unsafe words[index]
      let item = TopKWord.item(of: pushed)
      while unsafe cursor < excludedCount && excluded[cursor] < item { cursor &+= 1 }
      if unsafe cursor < excludedCount && excluded[cursor] == item { continue }
      let score = Float(bitPattern: UInt32(truncatingIfNeeded: pushed &>> 32))
      unsafe words[end] = TopKWord.make(score, item)
      hasNaN = hasNaN || score.isNaN
      end &+= 1
    }
    (count, settled, self.cursor, self.hasNaN) = (end, end, cursor, hasNaN)
  }
}

/// Whether a comparison of 8 lanes holds in all of them.
@inline(__always)
private func areAllSet(_ mask: SIMDMask<SIMD8<Int32>>) -> Bool {
  let words = unsafe unsafeBitCast(mask, to: SIMD4<Int64>.self)
  let pairs = words.lowHalf & words.highHalf
  return pairs.x & pairs.y == -1
}
