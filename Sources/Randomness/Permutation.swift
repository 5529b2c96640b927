/// A random order of `0 ..< count` that is computed and not stored.
///
/// A Feistel network over the smallest power of two, at least 256, that holds `count`, walked
/// until it lands inside (Black and Rogaway, *Ciphers with arbitrary finite domains*, CT-RSA 2002).
/// So an epoch over a log of any length needs no memory for its order, and resumes anywhere in it.
///
/// - Complexity: O(1) per element, on average less than two walks of six rounds.
package struct Permutation: Sendable {
  package let count: Int
  let lowBits: UInt64
  let lowMask: UInt64
  let highMask: UInt64
  private let keys: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  /// The order number `epoch` of the stream `stream` (a shard) of a run.
  ///
  /// - Parameters:
  ///   - count: Elements, at least 0.
  ///   - seed: The run's seed.
  ///   - purpose: What the order is for.
  ///   - epoch: A new order for each.
  ///   - stream: A new order for each.
  package init(
    count: Int, seed: UInt64, purpose: Philox.Purpose, epoch: Int = 0, stream: Int = 0
  ) {
    precondition(count >= 0, "a permutation has at least 0 elements")
    self.count = count
    let bits = Self.bits(of: count)
    lowBits = bits / 2
    lowMask = (1 << lowBits) - 1
    highMask = (1 << (bits - lowBits)) - 1
    let random = Philox(seed: seed, purpose: purpose)
    func key(_ index: Int) -> UInt64 {
      let words = random.words(epoch: epoch, row: stream, draw: index)
      return UInt64(words[0]) | UInt64(words[1]) << 32
    }
    keys = (key(0), key(1), key(2), key(3), key(4), key(5))
  }

  /// Bits of the values that the network walks.
  static func bits(of count: Int) -> UInt64 {
    UInt64(max(8, Int.bitWidth - max(count - 1, 0).leadingZeroBitCount))
  }

  /// Writes the results of the six rounds for every half of a value, `(6, width)`.
  ///
  /// - Returns: False, with nothing written, when a half has more than `width` values.
  func writeRounds(into table: UnsafeMutablePointer<UInt16>, width: Int) -> Bool {
    guard max(lowMask, highMask) < UInt64(width) else { return false }
    for value in 0..<width {
      let (half, entry) = unsafe (UInt64(truncatingIfNeeded: value), table + value)
      func write(_ round: Int, _ key: UInt64, _ mask: UInt64) {
        unsafe entry[round * width] = UInt16(truncatingIfNeeded: Self.round(half, key) & mask)
      }
      write(0, keys.0, lowMask)
      write(1, keys.1, highMask)
      write(2, keys.2, lowMask)
      write(3, keys.3, highMask)
      write(4, keys.4, lowMask)
      write(5, keys.5, highMask)
    }
    return true
  }

  /// The element at `position`.
  ///
  /// - Parameter position: In `0 ..< count`; not checked.
  package subscript(position: Int) -> Int {
    var value = UInt64(truncatingIfNeeded: position)
    repeat { value = walk(value) } while value >= UInt64(truncatingIfNeeded: count)
    return Int(truncatingIfNeeded: value)
  }

  /// Writes the elements at `positions` to `elements`, one call for many.
  ///
  /// - Parameters:
  ///   - elements: `(positions.count)`, overwritten.
  ///   - positions: Part of `0 ..< count`.
  ///   - rounds: Filled for this permutation, to look its rounds up.
  /// - Complexity: O(positions); no allocation.
  package func fill(
    _ elements: UnsafeMutablePointer<Int>, positions: Range<Int>, rounds: PermutationRounds? = nil
  ) {
    if let rounds, unsafe rounds.fill(elements, positions: positions) { return }
    var start = positions.lowerBound
    while start < positions.upperBound {
      let end = min(start &+ Self.blockSize, positions.upperBound)
      unsafe fillBlock(
        elements + (start &- positions.lowerBound), start: start, count: end &- start)
      start = end
    }
  }

  /// Small enough for its buffers to be on the stack without asking.
  private static let blockSize = 64

  /// All walk once; then those outside walk again, until none is left. One by one, whether an
  /// element needs another walk would be mispredicted every other time.
  private func fillBlock(_ elements: UnsafeMutablePointer<Int>, start: Int, count: Int) {
    unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: Self.blockSize) { values in
      unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.blockSize) { places in
        for index in 0..<Self.blockSize {
          unsafe values[index] = UInt64(truncatingIfNeeded: start &+ index)
          unsafe places[index] = UInt8(truncatingIfNeeded: index)
        }
        let bound = UInt64(truncatingIfNeeded: self.count)
        var pending = count
        while pending > 0 {
          for index in stride(from: 0, to: pending, by: 4) {
            let walked = unsafe walk(
              SIMD4(values[index], values[index + 1], values[index + 2], values[index + 3]))
            for lane in 0..<4 { unsafe values[index + lane] = walked[lane] }
          }
          var outside = 0
          for index in 0..<pending {
            let (value, place) = unsafe (values[index], places[index])
            unsafe elements[Int(place)] = Int(truncatingIfNeeded: value)
            unsafe values[outside] = value
            unsafe places[outside] = place
            // All ones below the bound: a comparison would become a branch.
            outside &-= ~(Int(truncatingIfNeeded: value &- bound) &>> (Int.bitWidth - 1))
          }
          pending = outside
        }
      }
    }
  }

  /// Six rounds of the network.
  @inline(__always)
  private func walk(_ value: UInt64) -> UInt64 {
    var (low, high) = (value & lowMask, value &>> lowBits)
    low = (low &+ Self.round(high, keys.0)) & lowMask
    high = (high &+ Self.round(low, keys.1)) & highMask
    low = (low &+ Self.round(high, keys.2)) & lowMask
    high = (high &+ Self.round(low, keys.3)) & highMask
    low = (low &+ Self.round(high, keys.4)) & lowMask
    high = (high &+ Self.round(low, keys.5)) & highMask
    return low | high &<< lowBits
  }

  /// ``walk(_:)-(UInt64)`` of four values.
  @inline(__always)
  private func walk(_ value: SIMD4<UInt64>) -> SIMD4<UInt64> {
    let (lowMask, highMask) = (SIMD4(repeating: lowMask), SIMD4(repeating: highMask))
    let shift = SIMD4(repeating: lowBits)
    var (low, high) = (value & lowMask, value &>> shift)
    low = (low &+ Self.round(high, keys.0)) & lowMask
    high = (high &+ Self.round(low, keys.1)) & highMask
    low = (low &+ Self.round(high, keys.2)) & lowMask
    high = (high &+ Self.round(low, keys.3)) & highMask
    low = (low &+ Self.round(high, keys.4)) & lowMask
    high = (high &+ Self.round(low, keys.5)) & highMask
    return low | high &<< shift
  }

  /// ``round(_:_:)-(UInt64,_)`` of four values below 2³², in its lower 32 bits; the rest is of no
  /// use, since a half of the network has at most 32.
  ///
  /// A product of 64-bit numbers by 32-bit parts. The upper part of `value ^ key` is that of the
  /// key, so half of the partial products are the same for all values.
  @inline(__always)
  private static func round(_ value: SIMD4<UInt64>, _ key: UInt64) -> SIMD4<UInt64> {
    let mask = SIMD4<UInt64>(repeating: 0xFFFF_FFFF)
    let (factorHigh, factorLow): (UInt64, UInt64) = (0x9E37_79B9, 0x7F4A_7C15)
    let upper = (key &>> 32 &* factorLow, key &>> 32 &* factorHigh)
    let lower = (value ^ SIMD4(repeating: key)) & mask
    let (lowLow, lowHigh) = (
      lower &* SIMD4(repeating: factorLow), lower &* SIMD4(repeating: factorHigh)
    )
    let middle = lowLow &>> 32 &+ lowHigh & mask &+ SIMD4(repeating: upper.0 & 0xFFFF_FFFF)
    let high =
      SIMD4(repeating: upper.1 &+ upper.0 &>> 32) &+ lowHigh &>> 32 &+ middle &>> 32
    return high ^ (middle &<< 3 | (lowLow & mask) &>> 29)
  }

  /// The upper half of a multiplication mixes every bit of `value` and `key`.
  @inline(__always)
  private static func round(_ value: UInt64, _ key: UInt64) -> UInt64 {
    let product = (value ^ key).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return product.high ^ product.low >> 29
  }
}
