/// The rounds of a ``Permutation`` of at most 2²⁰ elements, looked up instead of computed.
///
/// A round depends on one half of a value, at most ten bits, so all its results fit the first-level
/// cache: three times as fast as the products, with the same bits. Filled once for an epoch and a
/// shard; refilling allocates nothing.
///
/// - Complexity: 6 · 2^⌈bits / 2⌉ rounds and two bytes each, less than one for each element of a
///   large permutation.
@safe
package final class PermutationRounds {
  /// Bits of the larger half.
  private static let mostBits: UInt64 = 10

  private let table: UnsafeMutablePointer<UInt16>
  private let width: Int
  private var isFilled = false
  private var count = 0
  private var lowBits: UInt64 = 0
  private var masks: (low: Int, high: Int) = (0, 0)

  /// Room for the rounds of permutations of `count` elements.
  package init(count: Int) {
    let bits = Permutation.bits(of: count)
    let half = bits - bits / 2
    width = half <= Self.mostBits ? 1 << Int(half) : 0
    unsafe table = .allocate(capacity: max(1, 6 * width))
  }

  deinit { unsafe table.deallocate() }

  /// Computes the rounds of `permutation`, which has as many elements as this has room for.
  package func fill(for permutation: Permutation) {
    isFilled = unsafe permutation.writeRounds(into: table, width: width)
    count = permutation.count
    lowBits = permutation.lowBits
    masks = (
      Int(truncatingIfNeeded: permutation.lowMask), Int(truncatingIfNeeded: permutation.highMask)
    )
  }

  /// Small enough for its buffers to be on the stack without asking.
  private static let blockSize = 64

  /// As ``Permutation/fill(_:positions:)`` of the permutation the rounds belong to.
  ///
  /// - Returns: False, with nothing written, for a permutation that is too large for tables.
  func fill(_ elements: UnsafeMutablePointer<Int>, positions: Range<Int>) -> Bool {
    guard isFilled else { return false }
    var start = positions.lowerBound
    while start < positions.upperBound {
      let end = min(start &+ Self.blockSize, positions.upperBound)
      unsafe fillBlock(
        elements + (start &- positions.lowerBound), start: start, count: end &- start)
      start = end
    }
    return true
  }

  /// All walk once; then those outside walk again, until none is left: whether an element needs
  /// another walk cannot be predicted.
  private func fillBlock(_ elements: UnsafeMutablePointer<Int>, start: Int, count: Int) {
    unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * Self.blockSize) { buffer in
      guard let values = buffer.baseAddress else { return }
      let places = unsafe values + Self.blockSize
      let (table, width, masks) = unsafe (table, width, masks)
      let (shift, bound) = (Int(truncatingIfNeeded: lowBits), self.count)
      for index in 0..<count {
        unsafe values[index] = Int32(truncatingIfNeeded: start &+ index)
        unsafe places[index] = Int32(truncatingIfNeeded: index)
      }
      var pending = count
      while pending > 0 {
        var outside = 0
        for index in 0..<pending {
          let (value, place) = unsafe (Int(values[index]), places[index])
          var (low, high) = (value & masks.low, value &>> shift)
          low = unsafe (low &+ Int(table[high])) & masks.low
          high = unsafe (high &+ Int(table[width &+ low])) & masks.high
          low = unsafe (low &+ Int(table[2 &* width &+ high])) & masks.low
          high = unsafe (high &+ Int(table[3 &* width &+ low])) & masks.high
          low = unsafe (low &+ Int(table[4 &* width &+ high])) & masks.low
          high = unsafe (high &+ Int(table[5 &* width &+ low])) & masks.high
          let walked = low | high &<< shift
          unsafe elements[Int(place)] = walked
          unsafe values[outside] = Int32(truncatingIfNeeded: walked)
          unsafe places[outside] = place
          // All ones below the bound: a comparison would become a branch.
          outside &-= ~((walked &- bound) &>> (Int.bitWidth - 1))
        }
        pending = outside
      }
    }
  }
}
