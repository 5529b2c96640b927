/// Consecutive parts of a buffer, one for each rank: counts with their offsets, checked once.
///
/// Made before a loop and set again inside it, it allocates nothing.
package struct Partition: Equatable, Sendable {
  /// Length of each part.
  package private(set) var counts: [Int]
  /// Start of each part: the sum of the counts before it.
  package private(set) var offsets: [Int]
  /// The sum of all counts.
  package private(set) var total: Int

  /// Parts of the given lengths.
  ///
  /// - Parameter counts: None is negative, and the sum fits an `Int`.
  package init(counts: [Int]) {
    self.counts = counts
    offsets = counts
    total = 0
    update()
  }

  /// `parts` parts of `count` each.
  package init(parts: Int, of count: Int) {
    self.init(counts: [Int](repeating: count, count: parts))
  }

  /// Gives every part a new length, in place.
  ///
  /// - Parameter count: The new length of part `r`; not negative.
  package mutating func set(_ count: (_ part: Int) -> Int) {
    for part in counts.indices { counts[part] = count(part) }
    update()
  }

  /// The place of part `part` in the buffer.
  package func range(of part: Int) -> Range<Int> {
    offsets[part]..<offsets[part] + counts[part]
  }

  private mutating func update() {
    total = 0
    for part in counts.indices {
      precondition(counts[part] >= 0, "the length of a part must not be negative")
      offsets[part] = total
      total += counts[part]
    }
  }
}
