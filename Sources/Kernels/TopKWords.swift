/// A scored item as one whole number: the larger, the earlier in a ranking.
///
///     | order of the score, 32 bits | complement of the item, 32 bits |
///
/// Of two items with the same score the smaller id comes first, so a ranking is unique. −0 and +0
/// are the same score.
enum TopKWord {
  /// - Parameters:
  ///   - score: Not NaN; infinities are the two ends.
  ///   - item: Its id.
  /// - Returns: The word.
  @inline(__always)
  static func make(_ score: Float, _ item: UInt32) -> UInt64 {
    let bits = score == 0 ? 0 : score.bitPattern
    // The bits of a positive number ascend with it, those of a negative one descend.
    let sign = UInt32(bitPattern: Int32(bitPattern: bits) &>> 31)
    let order = bits ^ (sign | 0x8000_0000)
    return UInt64(order) &<< 32 | UInt64(~item)
  }

  @inline(__always)
  static func score(of word: UInt64) -> Float {
    let order = UInt32(truncatingIfNeeded: word &>> 32)
    let sign = UInt32(bitPattern: Int32(bitPattern: ~order) &>> 31)
    return Float(bitPattern: order ^ (sign | 0x8000_0000))
  }

  @inline(__always)
  static func item(of word: UInt64) -> UInt32 { ~UInt32(truncatingIfNeeded: word) }
}

/// Orders distinct words in place, the largest first.
enum TopKOrder {
  /// Ranges this short are sorted by insertion.
  private static let shortest = 16

  /// Moves the `limit` largest of `count` words to the front, the smallest of them last.
  ///
  /// - Parameters:
  ///   - words: Distinct.
  ///   - count: At least `limit`.
  ///   - limit: At least 1.
  /// - Complexity: O(count) on average.
  static func select(_ words: UnsafeMutablePointer<UInt64>, count: Int, limit: Int) {
    var (low, high) = (0, count)
    let last = limit - 1
    while high - low > shortest {
      let pivot = unsafe partition(words, low, high)
      if pivot == last { return }
      if pivot < last { low = pivot + 1 } else { high = pivot }
    }
    unsafe insert(words, low, high)
  }

  /// Sorts `count` distinct words.
  ///
  /// - Complexity: O(count · log count) on average; the stack grows with log count at most.
  static func sort(_ words: UnsafeMutablePointer<UInt64>, count: Int) {
    unsafe sort(words, 0, count)
  }

  private static func sort(_ words: UnsafeMutablePointer<UInt64>, _ start: Int, _ end: Int) {
    var (low, high) = (start, end)
    while high - low > shortest {
      let pivot = unsafe partition(words, low, high)
      // The longer part stays in this loop, which bounds the depth.
      if pivot - low < high - pivot {
        unsafe sort(words, low, pivot)
        low = pivot + 1
      } else {
        unsafe sort(words, pivot + 1, high)
        high = pivot
      }
    }
    unsafe insert(words, low, high)
  }

  private static func insert(_ words: UnsafeMutablePointer<UInt64>, _ low: Int, _ high: Int) {
    guard low < high else { return }
    for index in low + 1..<high {
      let word = unsafe words[index]
      var place = index
      while place > low, unsafe words[place &- 1] < word {
        unsafe words[place] = unsafe words[place &- 1]
        place &-= 1
      }
      unsafe words[place] = word
    }
  }

  /// Splits a range of at least 3 words around the median of three; returns its place.
  private static func partition(
    _ words: UnsafeMutablePointer<UInt64>, _ low: Int, _ high: Int
  ) -> Int {
    let (first, middle, last) = unsafe (words[low], words[(low + high) / 2], words[high - 1])
    let pivot = max(min(first, middle), min(max(first, middle), last))
    let place = pivot == first ? low : pivot == last ? high - 1 : (low + high) / 2
    unsafe words[place] = first
    unsafe words[low] = pivot
    // Every word is swapped and the border moves or not: no branch that could be mispredicted.
    var border = low &+ 1
    for index in low + 1..<high {
      let word = unsafe words[index]
      unsafe words[index] = unsafe words[border]
      unsafe words[border] = word
      border &+= oneIf(word > pivot)
    }
    unsafe words[low] = unsafe words[border &- 1]
    unsafe words[border &- 1] = pivot
    return border &- 1
  }
}

/// 1 for true and 0 for false, by arithmetic: the compiler turns a conditional into a branch, which
/// random data mispredicts every other time.
@inline(__always)
func oneIf(_ condition: Bool) -> Int {
  Int(truncatingIfNeeded: unsafe unsafeBitCast(condition, to: UInt8.self))
}
