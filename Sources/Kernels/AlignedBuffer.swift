import Foundation

/// A fixed block of memory for kernels: zeroed, aligned to a cache line, never moved.
///
/// From 4 MiB on the memory comes from a mapping of its own, whose pages are zero until they are
/// written: a large table costs what is touched of it, not what it could hold, and goes back to the
/// system with this object.
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
  /// Bytes of the mapping; 0 when the memory is the allocator's.
  private let mapped: Int

  /// `count` elements whose bytes are all zero.
  ///
  /// - Parameters:
  ///   - count: At least 0.
  ///   - isSparse: Whether most of it stays zero for long. Touching an element then costs a page
  ///     of usually 4 KiB; without it a huge one, which is twice as fast to walk at random.
  package init(count: Int, isSparse: Bool = false) {
    precondition(count >= 0, "a buffer has at least 0 elements")
    let bytes = max(1, count * MemoryLayout<Element>.stride)
    if bytes >= LargeMemory.smallest {
      mapped = bytes
      unsafe raw = LargeMemory.map(bytes, isSparse: isSparse)
    } else {
      mapped = 0
      unsafe raw = SmallMemory.allocate(bytes)
    }
    unsafe pointer = SmallMemory.aligned(raw).bindMemory(to: Element.self, capacity: count)
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
    mapped = 0
  }

  deinit {
    guard owner == nil else { return }
    if mapped > 0 { unsafe munmap(raw, mapped) } else { unsafe free(raw) }
  }

  /// The elements, for code that is not a hot loop.
  package var elements: UnsafeMutableBufferPointer<Element> {
    unsafe UnsafeMutableBufferPointer(start: pointer, count: count)
  }
}

/// Memory of the allocator.
private enum SmallMemory {
  private static let alignment = 64

  /// Room for `bytes` zero bytes after ``aligned(_:)``.
  ///
  /// Most of it the allocator has fresh from the system and so need not write: a buffer that is
  /// larger than what is used of it costs what is used.
  static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
    guard let start = unsafe calloc(1, bytes + alignment - 1) else {
      preconditionFailure("the system has no \(bytes) bytes of memory left")
    }
    return unsafe start
  }

  /// The first multiple of 64 from `start` on.
  static func aligned(_ start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    unsafe start + (alignment - Int(bitPattern: start) % alignment) % alignment
  }
}

/// Memory straight from the operating system.
private enum LargeMemory {
  /// Bytes from which a mapping of its own is worth its price.
  static let smallest = 4 << 20
  private static let alignment = 2 << 20

  /// `bytes` zero bytes at a multiple of 2 MiB; nothing of them is in memory yet.
  static func map(_ bytes: Int, isSparse: Bool) -> UnsafeMutableRawPointer {
    // Space is asked for only as it is touched, or a sparse table might be refused.
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let room = bytes + alignment
    let start = unsafe mmap(nil, room, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      preconditionFailure("the system has no \(bytes) bytes of memory left")
    }
    let skipped = (alignment - Int(bitPattern: start) % alignment) % alignment
    let aligned = unsafe start + skipped
    // What stands over at both ends; whole pages, as munmap wants it.
    if skipped > 0 { unsafe munmap(start, skipped) }
    let page = Int(getpagesize())
    let end = (bytes + page - 1) / page * page
    if end < room - skipped { unsafe munmap(aligned + end, room - skipped - end) }
    #if os(Linux)
      // Before the first touch, which decides the page size.
      unsafe madvise(aligned, bytes, isSparse ? MADV_NOHUGEPAGE : MADV_HUGEPAGE)
    #endif
    return unsafe aligned
  }
}
