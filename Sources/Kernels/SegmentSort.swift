/// Positions of a batch grouped by the row they refer to.
///
/// A stable least-significant-digit radix sort: within a segment positions ascend, hence rows of
/// one shard stay in order and shards ascend. Buffers are sized once; sorting allocates nothing.
///
/// - Complexity: O(count · ⌈bits(bound) / 11⌉) time.
@safe
package final class SegmentSort {
  private static let digitBits = 11

  private let keys: AlignedBuffer<UInt32>
  private let spareKeys: AlignedBuffer<UInt32>
  private let spareOrder: AlignedBuffer<UInt32>
  private let histogram = AlignedBuffer<UInt32>(count: 1 << SegmentSort.digitBits)

  /// Positions sorted by key; the first ``count`` are valid.
  package let order: AlignedBuffer<UInt32>
  /// The distinct keys, ascending; the first ``segmentCount`` are valid.
  package let segmentKeys: AlignedBuffer<UInt32>
  /// Where each segment starts in ``order``; one more than there are segments.
  package let segmentStarts: AlignedBuffer<UInt32>
  /// The segment of each position: the index of its row in a compact copy of the rows.
  package let segmentOfPosition: AlignedBuffer<UInt32>
  package private(set) var count = 0
  package private(set) var segmentCount = 0

  /// Room for `capacity` positions.
  package init(capacity: Int) {
    keys = AlignedBuffer(count: capacity)
    spareKeys = AlignedBuffer(count: capacity)
    order = AlignedBuffer(count: capacity)
    spareOrder = AlignedBuffer(count: capacity)
    segmentKeys = AlignedBuffer(count: capacity)
    segmentStarts = AlignedBuffer(count: capacity + 1)
    segmentOfPosition = AlignedBuffer(count: capacity)
  }

  /// Groups the positions `0 ..< count` by `source[position]`.
  ///
  /// - Parameters:
  ///   - source: `count` keys, each below `bound`; not checked.
  ///   - count: At most the capacity.
  ///   - bound: Decides how many digits are sorted.
  package func sort(_ source: UnsafePointer<UInt32>, count: Int, bound: Int) {
    precondition(count <= keys.count, "more positions than the sorter has room for")
    self.count = count
    var (inKeys, inOrder) = unsafe (keys.pointer, order.pointer)
    var (outKeys, outOrder) = unsafe (spareKeys.pointer, spareOrder.pointer)
    let bits = max(1, Int.bitWidth - max(bound - 1, 0).leadingZeroBitCount)
    let passes = (bits + Self.digitBits - 1) / Self.digitBits
    // An odd number of passes ends in the buffers it did not start from.
    if passes % 2 == 1 { unsafe swap(&inKeys, &outKeys); unsafe swap(&inOrder, &outOrder) }
    for position in 0..<count {
      unsafe inKeys[position] = unsafe source[position]
      unsafe inOrder[position] = UInt32(truncatingIfNeeded: position)
    }
    let width = (bits + passes - 1) / passes
    for pass in 0..<passes {
      unsafe scatter(
        (inKeys, inOrder), to: (outKeys, outOrder), shift: UInt32(pass * width),
        mask: UInt32((1 << width) - 1))
      unsafe swap(&inKeys, &outKeys)
      unsafe swap(&inOrder, &outOrder)
    }
    findSegments()
  }

  private func scatter(
    _ source: (keys: UnsafeMutablePointer<UInt32>, order: UnsafeMutablePointer<UInt32>),
    to target: (keys: UnsafeMutablePointer<UInt32>, order: UnsafeMutablePointer<UInt32>),
    shift: UInt32, mask: UInt32
  ) {
    let slots = unsafe histogram.pointer
    for digit in 0...Int(mask) { unsafe slots[digit] = 0 }
    for position in 0..<count { unsafe slots[Int((source.keys[position] &>> shift) & mask)] &+= 1 }
    var start: UInt32 = 0
    for digit in 0...Int(mask) {
      let length = unsafe slots[digit]
      unsafe slots[digit] = start
      start &+= length
    }
    for position in 0..<count {
      let key = unsafe source.keys[position]
      let digit = Int((key &>> shift) & mask)
      let slot = unsafe Int(slots[digit])
      unsafe slots[digit] &+= 1
      unsafe target.keys[slot] = key
      unsafe target.order[slot] = unsafe source.order[position]
    }
  }

  private func findSegments() {
    var segments = 0
    var previous: UInt32 = 0
    for index in 0..<count {
      let key = unsafe keys.pointer[index]
      if index == 0 || key != previous {
        unsafe segmentKeys.pointer[segments] = key
        unsafe segmentStarts.pointer[segments] = UInt32(truncatingIfNeeded: index)
        segments &+= 1
        previous = key
      }
      unsafe segmentOfPosition.pointer[Int(order.pointer[index])] =
        UInt32(truncatingIfNeeded: segments &- 1)
    }
    unsafe segmentStarts.pointer[segments] = UInt32(truncatingIfNeeded: count)
    segmentCount = segments
  }
}
