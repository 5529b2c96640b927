import Foundation

/// A fixed block of memory for kernels: zeroed, aligned to a cache line, never moved.
///
/// Safe to hold: the memory lives exactly as long as this object. What is read through
/// ``pointer`` is not bounds-checked; kernels state which elements they touch.
@safe
package final class AlignedBuffer<Element: BitwiseCopyable> {
  /// The first element, aligned to 64 bytes, or to 2 MiB from 4 MiB on, so that the system can
  /// back a large table with huge pages.
  package let pointer: UnsafeMutablePointer<Element>
  package let count: Int
  private let raw: UnsafeMutableRawPointer
  /// Keeps memory that is not this object's own.
  private let owner: AnyObject?

  /// `count` elements whose bytes are all zero.
  package init(count: Int) {
    precondition(count >= 0, "a buffer has at least 0 elements")
    let bytes = max(1, count * MemoryLayout<Element>.stride)
    let alignment = bytes >= 4 << 20 ? 2 << 20 : 64
    unsafe raw = .allocate(byteCount: bytes, alignment: alignment)
    #if os(Linux)
      // Before the first touch, which decides the page size.
      if alignment > 64 { unsafe madvise(raw, bytes, MADV_HUGEPAGE) }
    #endif
    unsafe memset(raw, 0, bytes)
    unsafe pointer = raw.bindMemory(to: Element.self, capacity: count)
    self.count = count
    owner = nil
  }

  /// A view of `count` elements of somebody else's memory.
  ///
  /// - Parameters:
  ///   - memory: Aligned like an element; what it holds stays.
  ///   - count: At least 0.
  ///   - owner: Keeps the memory as long as it lives.
  package init(viewing memory: UnsafeMutableRawPointer, count: Int, owner: AnyObject) {
    unsafe raw = unsafe memory
    unsafe pointer = memory.bindMemory(to: Element.self, capacity: count)
    self.count = count
    self.owner = owner
  }

  deinit { if owner == nil { unsafe raw.deallocate() } }

  /// The elements, for code that is not a hot loop.
  package var elements: UnsafeMutableBufferPointer<Element> {
    unsafe UnsafeMutableBufferPointer(start: pointer, count: count)
  }
}
