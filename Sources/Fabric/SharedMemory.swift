/// How the parts of neighbours lie in shared memory.
package enum SharedMemoryLayout: Int, Sendable {
  /// Each part starts on a page of its own (at least 4096 bytes): for what belongs to one rank.
  case separate
  /// Each part starts where the part before it ends, and only the first on a page: for a table
  /// whose rows lie in the order of their owners. Sizes should keep elements aligned.
  case joined

  /// The alignment of separate parts and of the first part, in bytes.
  package static let pageSize = 4096

  /// Where parts of the given lengths lie, in bytes from the start of the memory.
  package func ranges(of counts: [Int]) -> [Range<Int>] {
    var end = 0
    return counts.map { count in
      precondition(count >= 0, "the length of a part must not be negative")
      if self == .separate { end = (end + Self.pageSize - 1) / Self.pageSize * Self.pageSize }
      defer { end += count }
      return end..<end + count
    }
  }
}

/// Memory that the ranks of one machine read and write alike, and the fence that orders them.
///
/// Made by ``ProcessGroup/shareMemory(byteCount:_:)``. Between two fences a byte is written by one
/// rank and read by no other, or read by any and written by none. A *fence* separates such phases;
/// it has two halves, so that a rank can compute between them what needs nothing of the others:
///
///     write own part ─► arrive() ─► compute elsewhere ─► wait() ─► read any part
///
/// What a rank wrote to any shared memory before ``arrive()`` is seen by all its neighbours after
/// their ``wait()``. It follows that a rank must not overwrite what neighbours read until the next
/// fence has told it that they are done.
///
/// The methods are collectives of the *whole* group: all ranks call them in the same order among
/// all collectives, but only neighbours wait for each other, and in arriving nobody waits. Where
/// calls are verified, every rank waits for all.
package protocol SharedMemory: AnyObject {
  /// The part of neighbour number `index`, in `0 ..< machines.neighbours.count`.
  ///
  /// The same memory at a possibly different address in each rank. Not to be asked for after
  /// ``close()``, nor its bytes touched.
  func part(ofNeighbour index: Int) -> UnsafeMutableRawBufferPointer
  /// All parts in the order of neighbours, with what lies between them.
  var whole: UnsafeMutableRawBufferPointer { get }

  /// The first half of a fence: what was written before it is ready for the neighbours.
  ///
  /// Does not block. Each call is followed by one of ``wait()`` before the next.
  func arrive() throws
  /// The second half of a fence: returns when all neighbours have arrived.
  func wait() throws

  /// Gives the memory back, on all ranks together, after the second half of a fence that has
  /// begun; called at most once.
  ///
  /// Memory that is not closed lives until its group ends, even if nothing refers to this object:
  /// a release at a time of each rank's own would have to wait for the others.
  func close() throws
}

extension SharedMemory {
  /// Both halves of a fence at once.
  ///
  /// - Throws: What ``arrive()`` and ``wait()`` throw.
  package func fence() throws {
    try arrive()
    try wait()
  }
}

/// There is not enough shared memory on a machine.
package struct SharedMemoryError: Error, Equatable, CustomStringConvertible {
  /// The bytes that the ranks of the machine asked for together.
  package let byteCount: Int
  package let rank: Int
  /// What the operating system or the library said.
  package let reason: String

  package init(byteCount: Int, rank: Int, reason: String) {
    self.byteCount = byteCount
    self.rank = rank
    self.reason = reason
  }

  package var description: String {
    "cannot share \(byteCount) bytes of memory among the ranks of one machine, on rank \(rank): "
      + "\(reason); the memory is a file in /dev/shm: give that more space (docker run --shm-size, "
      + "an emptyDir of medium Memory in Kubernetes, or mount -o remount,size=…), or name another "
      + "directory in memory with mpirun --mca osc_sm_backing_directory"
  }
}
