/// Positions of a batch grouped by the row they refer to.
///
/// A stable radix sort: within a segment positions ascend, hence rows of one shard stay in order
/// and shards ascend. Rows that ascend already are only counted. Buffers are sized once; sorting
/// allocates nothing.
///
/// - Complexity: O(count · ⌈bits(bound) / 11⌉) time, 36 bytes for each position.
@safe
package final class SegmentSort {
  /// Bits of one pass: 2¹¹ counters fit the first-level cache beside what is sorted.
  private static let digitBits = 11
  /// A single pass over more bits pays as long as there are not many more counters than rows.
  private static let widestDigitBits = 14

  /// Key in the upper half, position in the lower.
  private let pairs: AlignedBuffer<UInt64>
  private let sparePairs: AlignedBuffer<UInt64>
  private let histogram = AlignedBuffer<UInt32>(count: 1 << SegmentSort.widestDigitBits)
  private var arePlacesKnown = false

  /// Positions sorted by key; the first ``count`` are valid.
  package let order: AlignedBuffer<UInt32>
  /// The distinct keys, ascending; the first ``segmentCount`` are valid.
  package let segmentKeys: AlignedBuffer<UInt32>
  /// Where each segment starts in ``order``; one more than there are segments.
  package let segmentStarts: AlignedBuffer<UInt32>
  private let places: AlignedBuffer<UInt32>
  package private(set) var count = 0
  package private(set) var segmentCount = 0

  /// Room for `capacity` positions.
  package init(capacity: Int) {
    pairs = AlignedBuffer(count: capacity)
    sparePairs = AlignedBuffer(count: capacity)
    order = AlignedBuffer(count: capacity)
    segmentKeys = AlignedBuffer(count: capacity + 1)
    segmentStarts = AlignedBuffer(count: capacity + 1)
    places = AlignedBuffer(count: capacity)
  }

  /// Positions there is room for.
  package var capacity: Int { order.count }

  /// The segment of each position: the index of its row in a compact copy of the rows.
  ///
  /// - Complexity: O(count) when first asked for after a sort.
  package var segmentOfPosition: UnsafePointer<UInt32> {
    if !arePlacesKnown { findPlaces() }
    return unsafe UnsafePointer(places.pointer)
  }

  /// Groups the positions `0 ..< count` by `source[position]`.
  ///
  /// - Parameters:
  ///   - source: `count` keys, each below `bound`; not checked.
  ///   - count: At most the capacity.
  ///   - bound: Decides how many digits are sorted.
  package func sort(_ source: UnsafePointer<UInt32>, count: Int, bound: Int) {
    precondition(count <= capacity, "more positions than the sorter has room for")
    self.count = count
    arePlacesKnown = false
    if unsafe ascends(source) {
      unsafe takeAscending(source)
      return
    }
    let bits = max(1, Int.bitWidth - max(bound - 1, 0).leadingZeroBitCount)
    if bits <= Self.widestDigitBits, 1 << bits <= max(2 * count, 1 << Self.digitBits) {
      unsafe countingSort(source, bits: bits)
      return
    }
    let passes = (bits + Self.digitBits - 1) / Self.digitBits
    let width = (bits + passes - 1) / passes
    for position in 0..<count {
      unsafe pairs.pointer[position] =
        UInt64(source[position]) &<< 32 | UInt64(truncatingIfNeeded: position)
    }
    var (from, to) = unsafe (pairs.pointer, sparePairs.pointer)
    for pass in 0..<passes {
      unsafe scatter(
        from, to: to, shift: UInt64(32 + pass * width), mask: UInt64(1 << width) - 1)
      unsafe swap(&from, &to)
    }
    unsafe findSegments(from)
  }

  private func ascends(_ source: UnsafePointer<UInt32>) -> Bool {
    // In blocks: most batches show in the first that they do not.
    for start in stride(from: 1, to: count, by: 64) {
      var descents: UInt32 = 0
      for index in start..<min(start &+ 64, count) {
        descents |= unsafe source[index] < source[index &- 1] ? 1 : 0
      }
      if descents != 0 { return false }
    }
    return true
  }

  private func takeAscending(_ source: UnsafePointer<UInt32>) {
    let (order, keys, starts) = unsafe (
      order.pointer, segmentKeys.pointer, segmentStarts.pointer
    )
    var segments = 0
    var previous = unsafe count > 0 ? ~source[0] : 0
    unsafe starts[0] = 0
    for index in 0..<count {
      let key = unsafe source[index]
      // Every row overwrites the end of its segment: nothing to predict.
      segments &+= key != previous ? 1 : 0
      previous = key
      unsafe order[index] = UInt32(truncatingIfNeeded: index)
      unsafe keys[segments &- 1] = key
      unsafe starts[segments] = UInt32(truncatingIfNeeded: index &+ 1)
    }
    segmentCount = segments
  }

  /// One pass over whole keys; the counters know the segments.
  private func countingSort(_ source: UnsafePointer<UInt32>, bits: Int) {
    let (slots, order) = unsafe (histogram.pointer, order.pointer)
    let (keys, starts) = unsafe (segmentKeys.pointer, segmentStarts.pointer)
    let size = 1 << bits
    unsafe slots.update(repeating: 0, count: size)
    for position in 0..<count { unsafe slots[Int(source[position])] &+= 1 }
    var start: UInt32 = 0
    var segments = 0
    for key in 0..<size {
      let length = unsafe slots[key]
      unsafe slots[key] = start
      // Overwritten until the next segment starts.
      unsafe keys[segments] = UInt32(truncatingIfNeeded: key)
      unsafe starts[segments] = start
      segments &+= length > 0 ? 1 : 0
      start &+= length
    }
    unsafe starts[segments] = start
    segmentCount = segments
    for position in 0..<count {
      let key = unsafe Int(source[position])
      let slot = unsafe Int(slots[key])
      unsafe slots[key] &+= 1
      unsafe order[slot] = UInt32(truncatingIfNeeded: position)
    }
  }

  private func scatter(
    _ source: UnsafePointer<UInt64>, to target: UnsafeMutablePointer<UInt64>, shift: UInt64,
    mask: UInt64
  ) {
    let slots = unsafe histogram.pointer
    unsafe slots.update(repeating: 0, count: Int(mask) + 1)
    for index in 0..<count { unsafe slots[Int((source[index] &>> shift) & mask)] &+= 1 }
    var start: UInt32 = 0
    for digit in 0...Int(mask) {
      let length = unsafe slots[digit]
      unsafe slots[digit] = start
      start &+= length
    }
    for index in 0..<count {
      let pair = unsafe source[index]
      let digit = Int((pair &>> shift) & mask)
      let slot = unsafe Int(slots[digit])
      unsafe slots[digit] &+= 1
      unsafe target[slot] = pair
    }
  }

  private func findSegments(_ sorted: UnsafePointer<UInt64>) {
    let (order, keys, starts) = unsafe (
      order.pointer, segmentKeys.pointer, segmentStarts.pointer
    )
    var segments = 0
    var previous = unsafe count > 0 ? ~UInt32(truncatingIfNeeded: sorted[0] &>> 32) : 0
    unsafe starts[0] = 0
    for index in 0..<count {
      let key = unsafe UInt32(truncatingIfNeeded: sorted[index] &>> 32)
      segments &+= key != previous ? 1 : 0
      previous = key
      unsafe order[index] = UInt32(truncatingIfNeeded: sorted[index])
      unsafe keys[segments &- 1] = key
      unsafe starts[segments] = UInt32(truncatingIfNeeded: index &+ 1)
    }
    segmentCount = segments
  }

  /// Writes for each position the value of its segment.
  ///
  /// - Parameters:
  ///   - values: `(segmentCount)`.
  ///   - target: `(count)`, overwritten.
  package func spread<Value: BitwiseCopyable>(
    _ values: UnsafePointer<Value>, into target: UnsafeMutablePointer<Value>
  ) {
    for segment in 0..<segmentCount {
      let value = unsafe values[segment]
      let range = unsafe segmentStarts.pointer[segment]..<segmentStarts.pointer[segment &+ 1]
      for index in range { unsafe target[Int(order.pointer[Int(index)])] = value }
    }
  }

  private func findPlaces() {
    for segment in 0..<segmentCount {
      let range = unsafe segmentStarts.pointer[segment]..<segmentStarts.pointer[segment &+ 1]
      for index in range {
        unsafe places.pointer[Int(order.pointer[Int(index)])] =
          UInt32(truncatingIfNeeded: segment)
      }
    }
    arePlacesKnown = true
  }
}
