/// Scores as whole numbers in the same order, so that they can be counted and sorted by digits.
enum ScoreOrder {
  /// A number that compares as the score does; −0 and +0 give the same one.
  ///
  /// The bits of a positive `Float` ascend with it, those of a negative one descend: the sign bit
  /// is set for the first and all bits are turned round for the second.
  ///
  /// - Parameter score: Not NaN; infinities are the two ends.
  /// - Returns: The key, which differs for any two different scores.
  @inline(__always)
  static func key(of score: Float) -> UInt32 {
    let bits = score == 0 ? 0 : score.bitPattern
    let sign = UInt32(bitPattern: Int32(bitPattern: bits) >> 31)
    return bits ^ (sign | 0x8000_0000)
  }

  private static let digitBits = 11
  private static let digits = 3
  private static let bins = 1 << digitBits

  /// Sorts words by their upper 32 bits, in place; words that agree there keep their order.
  ///
  /// Three counting sorts by digits of 11 bits from the lowest up; a digit that all words share
  /// is passed over.
  ///
  /// - Parameters:
  ///   - words: Fewer than 2³² of them, of 32 bits or more.
  ///   - scratch: At least as many; overwritten. Must not overlap `words`.
  /// - Complexity: O(words); 24 KiB of stack or heap.
  static func sort<Word: FixedWidthInteger & UnsignedInteger>(
    _ words: UnsafeMutableBufferPointer<Word>, scratch: UnsafeMutableBufferPointer<Word>
  ) {
    let count = words.count
    precondition(count <= UInt32.max && scratch.count >= count, "as much scratch as words")
    guard count > 1 else { return }
    unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: digits * bins) { counts in
      unsafe counts.initialize(repeating: 0)
      for index in 0..<count {
        let word = unsafe words[index]
        for digit in 0..<digits { unsafe counts[digit &* bins &+ bin(word, digit)] &+= 1 }
      }
      var (from, to) = unsafe (words, UnsafeMutableBufferPointer(rebasing: scratch[..<count]))
      for digit in 0..<digits {
        let starts = unsafe UnsafeMutableBufferPointer(
          rebasing: counts[digit * bins..<digit * bins + bins])
        if unsafe starts[bin(from[0], digit)] == count { continue }
        unsafe scatter(from, to, digit, starts)
        unsafe swap(&from, &to)
      }
      if unsafe from.baseAddress != words.baseAddress { _ = unsafe words.update(from: from) }
    }
  }

  /// One counting sort: `starts` holds the number of words for each value of the digit.
  private static func scatter<Word: FixedWidthInteger & UnsignedInteger>(
    _ from: UnsafeMutableBufferPointer<Word>, _ to: UnsafeMutableBufferPointer<Word>, _ digit: Int,
    _ starts: UnsafeMutableBufferPointer<UInt32>
  ) {
    var total: UInt32 = 0
    for value in 0..<bins {
      let count = unsafe starts[value]
      unsafe starts[value] = total
      total &+= count
    }
    for index in 0..<from.count {
      let word = unsafe from[index]
      let value = bin(word, digit)
      unsafe to[Int(truncatingIfNeeded: starts[value])] = word
      unsafe starts[value] &+= 1
    }
  }

  @inline(__always)
  private static func bin<Word: FixedWidthInteger & UnsignedInteger>(
    _ word: Word, _ digit: Int
  ) -> Int {
    let key = Int(truncatingIfNeeded: word >> Word(truncatingIfNeeded: Word.bitWidth &- 32))
    return key >> (digit &* digitBits) & (bins &- 1)
  }
}
