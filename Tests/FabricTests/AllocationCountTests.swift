import Foundation
import TestSupport
import Testing

/// A counter that missed something would let every budget pass.
@Suite(.enabled(if: countsAllocations, "this C library does not let its allocator be counted"))
struct AllocationCountTests {
  private final class Node {
    var value = 1
  }

  @Test func nothingIsCountedForNothing() {
    var sum = 0
    #expect(allocations { for index in 0..<1000 { sum += index } } == 0)
    #expect(sum == 499_500)
  }

  @Test(arguments: [1, 2, 7])
  func objectsAreCounted(count: Int) {
    var kept: [Node] = []
    kept.reserveCapacity(count)
    #expect(allocations { for _ in 0..<count { kept.append(Node()) } } == count)
    #expect(kept.count == count)
  }

  /// Of sizes that the allocator serves from its lists, from its heap and from the system.
  @Test(arguments: [1, 1000, 1 << 24])
  func arraysAreCounted(count: Int) {
    var kept: [[UInt8]] = []
    kept.reserveCapacity(2)
    #expect(allocations { kept.append([UInt8](repeating: 1, count: count)) } == 1)
    // A copy is one only when it is written to.
    #expect(allocations { kept.append(kept[0]) } == 0)
    #expect(allocations { kept[1][count - 1] = 2 } == 1)
    #expect(kept[0][count - 1] == 1)
  }

  @Test func everyWayToAskTheLibraryIsCounted() throws {
    var pointers: [UnsafeMutableRawPointer?] = unsafe []
    unsafe pointers.reserveCapacity(8)
    let count = allocations {
      unsafe pointers.append(malloc(3))
      unsafe pointers.append(calloc(3, 5))
      unsafe pointers.append(realloc(malloc(2), 100))
      unsafe pointers.append(aligned_alloc(64, 128))
      var aligned: UnsafeMutableRawPointer?
      if unsafe posix_memalign(&aligned, 4096, 10) == 0 { unsafe pointers.append(aligned) }
      unsafe pointers.append(.allocate(byteCount: 64, alignment: 64))
    }
    #expect(count == 7)
    #expect(unsafe pointers.allSatisfy { unsafe $0 != nil })
    #expect(unsafe Int(bitPattern: pointers[4]) % 4096 == 0)
    #expect(unsafe pointers[1]?.loadUnaligned(fromByteOffset: 7, as: Int64.self) == 0)
    let indices = unsafe pointers.indices
    #expect(
      allocations {
        for index in indices { unsafe free(pointers[index]) }
      } == 0)
  }

  @Test func otherThreadsAreNotCounted() {
    let finished = DispatchSemaphore(value: 0)
    let started = DispatchSemaphore(value: 0)
    let thread = Thread {
      started.wait()
      let kept = (0..<1000).map { _ in Node() }
      if kept.count == 1000 { finished.signal() }
    }
    thread.start()
    #expect(
      allocations {
        started.signal()
        finished.wait()
      } == 0)
  }

  /// The libraries of the program ask by the same names.
  @Test func librariesAreCounted() {
    // Not strdup, which the compiler knows and leaves out.
    #expect(allocations { unsafe free(realpath("/", nil)) } >= 1)
  }
}
