internal import CBuiltins

/// Random numbers computed from a counter: the same key and counter give the same words on every
/// rank, in every order, after every restart.
///
/// Philox 4×32 with 10 rounds: Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as
/// 1, 2, 3*, SC 2011. The key is derived from a run's seed and a ``Purpose``; the counter is the
/// epoch, the row and the number of the draw. Nothing depends on a rank, a thread or the time.
///
/// - Complexity: O(1) per call, without state; four words in about 10 ns.
package struct Philox: Sendable {
  /// What a number is drawn for; two purposes never share a stream.
  package enum Purpose: UInt64, Sendable {
    case order = 1
    case unlabeled
    case initialUsers
    case initialItems
    case initialDense
    case thinning
    case split
    case synthesis
    case verification
    case dropout
    case candidates
    case walks
    case nodeDropout
  }

  private let key: SIMD2<UInt32>

  /// The stream of one purpose of one run.
  package init(seed: UInt64, purpose: Purpose) {
    let mixed = mix64(seed &+ mix64(purpose.rawValue))
    self.init(
      key: SIMD2(UInt32(truncatingIfNeeded: mixed), UInt32(truncatingIfNeeded: mixed >> 32)))
  }

  /// A stream with a literal key, as in the published test vectors.
  package init(key: SIMD2<UInt32>) { self.key = key }

  /// Four independent words.
  ///
  /// - Parameters:
  ///   - epoch: 0 for what happens once.
  ///   - row: A row of the dataset or of a table.
  ///   - draw: Distinguishes several draws for one row.
  /// - Returns: The block of this place in the stream.
  package func words(epoch: Int = 0, row: Int, draw: Int = 0) -> SIMD4<UInt32> {
    words(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: row), UInt32(truncatingIfNeeded: row >> 32),
        UInt32(truncatingIfNeeded: draw), UInt32(truncatingIfNeeded: epoch)))
  }

  /// The block cipher itself.
  package func words(counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let first = UInt64(c0) &* 0xD251_1F53
      let second = UInt64(c2) &* 0xCD9E_8D57
      (c0, c1, c2, c3) = (
        UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: first)
      )
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }

  /// A whole number in `0 ..< bound`.
  ///
  /// - Parameters:
  ///   - bound: At least 1. The bias is below `bound` / 2⁶⁴.
  ///   - epoch: 0 for what happens once.
  ///   - row: A row of the dataset or of a table.
  ///   - draw: Distinguishes several draws for one row.
  /// - Returns: The number.
  package func integer(below bound: Int, epoch: Int = 0, row: Int, draw: Int = 0) -> Int {
    let words = words(epoch: epoch, row: row, draw: draw)
    let random = UInt64(words[0]) | UInt64(words[1]) << 32
    return Int(UInt64(bound).multipliedFullWidth(by: random).high)
  }

  /// Writes ``integer(below:epoch:row:draw:)`` of many rows, four at a time.
  ///
  /// - Parameters:
  ///   - integers: One per row, overwritten.
  ///   - bound: In `1 ..< 2³²`.
  ///   - epoch: 0 for what happens once.
  ///   - rows: Numbers of rows, to which `firstRow` is added.
  ///   - firstRow: The row of the dataset or table from which `rows` count.
  ///   - draw: Distinguishes several draws for one row.
  ///   - step: Elements of `integers` from one row to the next.
  /// - Complexity: O(rows), about 3 ns each; no allocation.
  package func fill(
    _ integers: UnsafeMutablePointer<UInt32>, below bound: Int, epoch: Int = 0,
    rows: UnsafeBufferPointer<Int>, firstRow: Int = 0, draw: Int = 0, step: Int = 1
  ) {
    precondition((1..<1 << 32).contains(bound), "the bound must be in 1 ..< 2^32")
    let wide = SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: bound)))
    var index = 0
    while index &+ 4 <= rows.count {
      let low = unsafe SIMD4<UInt64>(
        truncatingIfNeeded: SIMD4<Int>(
          rows[index], rows[index &+ 1], rows[index &+ 2], rows[index &+ 3])
          &+ SIMD4(repeating: firstRow))
      let words = words(row: low, draw: draw, epoch: epoch)
      // ⌊bound · (w₀ + 2³² w₁) / 2⁶⁴⌋ by halves: the lower product carries into the upper one.
      let numbers = (wide &* words.1 &+ (wide &* words.0) &>> 32) &>> 32
      for lane in 0..<4 {
        unsafe integers[(index &+ lane) &* step] = UInt32(truncatingIfNeeded: numbers[lane])
      }
      index &+= 4
    }
    while index < rows.count {
      unsafe integers[index &* step] = UInt32(
        truncatingIfNeeded: integer(
          below: bound, epoch: epoch, row: firstRow &+ rows[index], draw: draw))
      index &+= 1
    }
  }

  /// The first two words of four rows, each in the lower half of its lane.
  @inline(__always)
  private func words(
    row: SIMD4<UInt64>, draw: Int, epoch: Int
  ) -> (SIMD4<UInt64>, SIMD4<UInt64>) {
    let words = encrypt(
      row, row &>> 32,
      SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: draw))),
      SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: epoch))))
    return (words.0, words.1)
  }

  /// The block cipher on four counters at a time, each word in the lower half of its lane; upper
  /// halves of what comes in do not count.
  ///
  /// Lanes of 64 bits whose upper halves are zero multiply in one instruction, which does not look
  /// at them, so the masks cost nothing.
  @inline(__always)
  private func encrypt(
    _ c0: SIMD4<UInt64>, _ c1: SIMD4<UInt64>, _ c2: SIMD4<UInt64>, _ c3: SIMD4<UInt64>
  ) -> (SIMD4<UInt64>, SIMD4<UInt64>, SIMD4<UInt64>, SIMD4<UInt64>) {
    let mask = SIMD4<UInt64>(repeating: 0xFFFF_FFFF)
    let (multiplier0, multiplier1) = (
      SIMD4<UInt64>(repeating: 0xD251_1F53), SIMD4<UInt64>(repeating: 0xCD9E_8D57)
    )
    let (bump0, bump1) = (
      SIMD4<UInt64>(repeating: 0x9E37_79B9), SIMD4<UInt64>(repeating: 0xBB67_AE85)
    )
    var (c0, c1, c2, c3) = (c0, c1, c2, c3)
    var (k0, k1) = (SIMD4(repeating: UInt64(key[0])), SIMD4(repeating: UInt64(key[1])))
    for _ in 0..<10 {
      let (first, second) = ((c0 & mask) &* multiplier0, (c2 & mask) &* multiplier1)
      (c0, c1, c2, c3) = (
        whole(second &>> 32 ^ c1 ^ k0), second, whole(first &>> 32 ^ c3 ^ k1), first
      )
      (k0, k1) = (k0 &+ bump0, k1 &+ bump1)
    }
    return (c0 & mask, c1 & mask, c2 & mask, c3 & mask)
  }

  /// Writes ``words(epoch:row:draw:)`` of consecutive draws for one row, eight draws at a time.
  ///
  /// - Parameters:
  ///   - words: Four per draw, overwritten.
  ///   - draws: Which.
  ///   - epoch: 0 for what happens once.
  ///   - row: A row of the dataset or of a table.
  /// - Complexity: O(draws), about 3 ns each; no allocation.
  package func fill(
    _ words: UnsafeMutablePointer<UInt32>, draws: Range<Int>, epoch: Int = 0, row: Int
  ) {
    let c0 = SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: row)))
    let c1 = SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: row >> 32)))
    let c3 = SIMD4(repeating: UInt64(UInt32(truncatingIfNeeded: epoch)))
    let lanes = SIMD4<UInt64>(0, 1, 2, 3)
    var draw = draws.lowerBound
    var target = unsafe words
    while draw &+ 8 <= draws.upperBound {
      // Two at once, since each waits for its own multiplications.
      let first = SIMD4(repeating: UInt64(truncatingIfNeeded: draw)) &+ lanes
      let second = first &+ SIMD4(repeating: 4)
      let low = encrypt(c0, c1, first, c3)
      let high = encrypt(c0, c1, second, c3)
      unsafe Self.store(low, to: target)
      unsafe Self.store(high, to: target + 16)
      draw &+= 8
      unsafe target += 32
    }
    while draw < draws.upperBound {
      let four = self.words(epoch: epoch, row: row, draw: draw)
      for lane in 0..<4 { unsafe target[lane] = four[lane] }
      draw &+= 1
      unsafe target += 4
    }
  }

  /// Writes the four words of four draws, one draw after the other.
  @inline(__always)
  private static func store(
    _ words: (SIMD4<UInt64>, SIMD4<UInt64>, SIMD4<UInt64>, SIMD4<UInt64>),
    to target: UnsafeMutablePointer<UInt32>
  ) {
    let (front, back) = (words.0 | words.1 &<< 32, words.2 | words.3 &<< 32)
    let place = UnsafeMutableRawPointer(target)
    unsafe place.storeBytes(
      of: SIMD4(front[0], back[0], front[1], back[1]), as: SIMD4<UInt64>.self)
    unsafe place.storeBytes(
      of: SIMD4(front[2], back[2], front[3], back[3]), toByteOffset: 32, as: SIMD4<UInt64>.self)
  }

  /// A number in `[0, 1)`, a multiple of 2⁻⁵³.
  package func uniform(epoch: Int = 0, row: Int, draw: Int = 0) -> Double {
    let words = words(epoch: epoch, row: row, draw: draw)
    let random = UInt64(words[0]) | UInt64(words[1]) << 32
    return Double(random >> 11) * 0x1p-53
  }
}

/// The same words, kept in one register.
@inline(__always)
private func whole(_ words: SIMD4<UInt64>) -> SIMD4<UInt64> {
  #if arch(x86_64)
    inverse_whole_words(words)
  #else
    words
  #endif
}

/// A bijection of 64-bit words that changes about half of the output bits for each input bit.
///
/// The finaliser of SplitMix64: Steele, Lea, Flood, *Fast splittable pseudorandom number
/// generators*, OOPSLA 2014.
@inline(__always)
package func mix64(_ value: UInt64) -> UInt64 {
  var z = value &+ 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}
