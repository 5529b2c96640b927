/// Bits that say, with one look at memory, whether a user met an item.
///
/// A user that met at least one item in 32 has one bit for each item: no more memory than the list
/// of what it met, and certain. Any other has a power of two of bits, eight to sixteen for each item
/// met, of which an item sets one: not set is certain, set is wrong for at most one item in eight.
/// Users that met more than half of all items have all bits set, because guessing is no way to find
/// what they did not meet.
///
/// Safe to share: written while it is made, only read afterwards, freed with this object.
///
/// - Complexity: at most four bytes for each item met.
@safe
final class MetFilter: Sendable {
  /// Where a user's bits start, and how an item becomes one of them.
  private struct Place {
    var word: UInt32
    var multiplier: UInt32
    var shift: UInt32
  }

  /// The upper bits of the product depend on all bits of the item (Knuth, *The Art of Computer
  /// Programming* 3, section 6.4).
  private static let hash: UInt32 = 0x9E37_79B1

  private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>
  private nonisolated(unsafe) let places: UnsafeMutablePointer<Place>

  init(_ met: CompressedRows, itemCount: Int) {
    unsafe places = .allocate(capacity: met.count)
    var total = 0
    for user in 0..<met.count {
      let (place, words) = unsafe Self.place(
        at: total, met: met[user].count, itemCount: itemCount)
      unsafe places[user] = place
      total += words
    }
    unsafe words = .allocate(capacity: total)
    unsafe words.initialize(repeating: 0, count: total)
    for user in 0..<met.count {
      let (items, place) = unsafe (met[user], places[user])
      if 2 * items.count > itemCount { unsafe words[Int(place.word)] = .max }
      for index in items.indices {
        let bit = unsafe (items[index] &* place.multiplier) &>> place.shift
        unsafe words[Int(place.word &+ bit &>> 6)] |= 1 << UInt64(bit & 63)
      }
    }
  }

  /// The bits of a user from word `start` on, and how many words they take.
  private static func place(
    at start: Int, met: Int, itemCount: Int
  ) -> (Place, words: Int) {
    let word = UInt32(start)
    if 2 * met > itemCount { return (Place(word: word, multiplier: hash, shift: 26), 1) }
    if 32 * met >= itemCount {
      return (Place(word: word, multiplier: 1, shift: 0), (itemCount + 63) / 64)
    }
    let bits = Int.bitWidth - (max(64, 8 * met) - 1).leadingZeroBitCount
    return (Place(word: word, multiplier: hash, shift: UInt32(32 - bits)), 1 << (bits - 6))
  }

  deinit {
    unsafe words.deallocate()
    unsafe places.deallocate()
  }

  /// Whether a user, counted from the first of the rows, may have met the item; false is certain.
  @inline(__always)
  func mayContain(_ item: UInt32, of user: Int) -> Bool {
    let place = unsafe places[user]
    let bit = (item &* place.multiplier) &>> place.shift
    return unsafe words[Int(place.word &+ bit &>> 6)] &>> UInt64(bit & 63) & 1 == 1
  }

  /// Whether ``mayContain(_:of:)`` of a user is certain when it is true.
  @inline(__always)
  func isExact(for user: Int) -> Bool { unsafe places[user].multiplier == 1 }
}
