/// A random order of `0 ..< count` that is computed and not stored.
///
/// A Feistel network over the smallest power of two, at least 256, that holds `count`, walked
/// until it lands inside (Black and Rogaway, *Ciphers with arbitrary finite domains*, CT-RSA 2002).
/// So an epoch over a log of any length needs no memory for its order, and resumes anywhere in it.
///
/// - Complexity: O(1) per element, on average less than two walks of six rounds.
package struct Permutation: Sendable {
  package let count: Int
  private let lowBits: UInt64
  private let lowMask: UInt64
  private let highMask: UInt64
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
    let bits = UInt64(max(8, Int.bitWidth - max(count - 1, 0).leadingZeroBitCount))
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

  /// The element at `position`.
  ///
  /// - Parameter position: In `0 ..< count`; not checked.
  package subscript(position: Int) -> Int {
    var value = UInt64(truncatingIfNeeded: position)
    repeat {
      var (low, high) = (value & lowMask, value >> lowBits)
      low = (low &+ Self.round(high, keys.0)) & lowMask
      high = (high &+ Self.round(low, keys.1)) & highMask
      low = (low &+ Self.round(high, keys.2)) & lowMask
      high = (high &+ Self.round(low, keys.3)) & highMask
      low = (low &+ Self.round(high, keys.4)) & lowMask
      high = (high &+ Self.round(low, keys.5)) & highMask
      value = low | high << lowBits
    } while value >= UInt64(truncatingIfNeeded: count)
    return Int(truncatingIfNeeded: value)
  }

  /// Writes the elements at `positions` to `elements`, one call for many.
  package func fill(_ elements: UnsafeMutablePointer<Int>, positions: Range<Int>) {
    for position in positions { unsafe elements[position &- positions.lowerBound] = self[position] }
  }

  /// The upper half of a multiplication mixes every bit of `value` and `key`.
  @inline(__always)
  private static func round(_ value: UInt64, _ key: UInt64) -> UInt64 {
    let product = (value ^ key).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return product.high ^ product.low >> 29
  }
}
