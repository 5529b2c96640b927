import Foundation

/// Memory of one process in the shape of shared memory: zeroed parts in one block.
///
/// Safe to share: the block lives exactly as long as this object and never moves. What is read
/// and written through ``part(_:)`` and ``whole`` is ordered by the fences of its users.
@safe
package final class PageMemory: @unchecked Sendable {
  private let start: UnsafeMutableRawPointer
  private let ranges: [Range<Int>]

  /// Parts of `counts` bytes, all zero.
  package init(counts: [Int], _ layout: SharedMemoryLayout) {
    ranges = layout.ranges(of: counts)
    let byteCount = max(1, ranges.last?.upperBound ?? 0)
    // Large memory starts where a huge page can.
    let isLarge = byteCount >= 4 << 20
    unsafe start = .allocate(
      byteCount: byteCount, alignment: isLarge ? 2 << 20 : SharedMemoryLayout.pageSize)
    #if os(Linux)
      // Before the first touch, which decides the size of the page.
      if isLarge { unsafe madvise(start, byteCount, MADV_HUGEPAGE) }
    #endif
    unsafe memset(start, 0, byteCount)
  }

  deinit { unsafe start.deallocate() }

  /// The part with number `index`.
  package func part(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let range = ranges[index]
    return unsafe UnsafeMutableRawBufferPointer(
      start: start + range.lowerBound, count: range.count)
  }

  /// All parts, with what lies between them.
  package var whole: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: start, count: ranges.last?.upperBound ?? 0)
  }
}

/// Notices halves of a fence that do not alternate, and what comes after the end.
package struct FenceState {
  /// Whether a first half waits for its second.
  package private(set) var hasArrived = false
  private var isClosed = false

  package init() {}

  /// Notes a first half.
  package mutating func arrive() {
    requireOpen()
    precondition(!hasArrived, "a rank arrives at a fence once, and then waits")
    hasArrived = true
  }

  /// Notes a second half.
  package mutating func wait() {
    requireOpen()
    precondition(hasArrived, "a rank arrives at a fence before it waits there")
    hasArrived = false
  }

  /// Notes the end.
  package mutating func close() {
    requireOpen()
    isClosed = true
  }

  /// Stops the program after the end.
  package func requireOpen() {
    precondition(!isClosed, "shared memory is not used after its end")
  }
}
