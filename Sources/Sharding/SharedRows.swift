package import Fabric
package import Kernels

/// The weights of a table in memory that all ranks of one machine share: one copy, of which each
/// rank writes the rows it owns and reads all.
///
/// Between ``publish()`` and ``settle()`` nobody reads the table. Safe to use: the views keep the
/// memory.
@safe
package final class SharedRows {
  /// `(rows of the table, stride)`.
  package let weights: AlignedBuffer<Float>
  private let memory: any SharedMemory
  private var isPending = false

  /// A collective.
  ///
  /// - Parameters:
  ///   - ownership: Who owns which rows; all ranks are on one machine.
  ///   - stride: Floats per row.
  ///   - group: The ranks.
  /// - Throws: `SharedMemoryError` when the machine has not got as much; what the group throws.
  package init(ownership: RowOwnership, stride: Int, group: any ProcessGroup) throws {
    precondition(group.machines.machineCount == 1, "ranks of one machine share a table")
    let memory = try group.shareMemory(
      byteCount: ownership.rows(of: group.rank).count * stride * 4, .joined)
    self.memory = memory
    guard let base = unsafe memory.whole.baseAddress else {
      preconditionFailure("shared memory has an address")
    }
    weights = unsafe AlignedBuffer(
      viewing: base, count: ownership.rowCount * stride, owner: memory)
  }

  /// Says that this rank has written what it owns.
  ///
  /// - Throws: What the group throws.
  package func publish() throws {
    try settle()
    try memory.arrive()
    isPending = true
  }

  /// Returns when all ranks have written what they own; at once when nothing was published.
  ///
  /// - Throws: What the group throws.
  package func settle() throws {
    guard isPending else { return }
    isPending = false
    try memory.wait()
  }

  /// Waits for all ranks, on both sides of `body`, which writes rows this rank owns.
  ///
  /// - Throws: What `body` and the group throw.
  package func rewrite(_ body: () throws -> Void) throws {
    try settle()
    try memory.fence()
    try body()
    try memory.fence()
  }
}
