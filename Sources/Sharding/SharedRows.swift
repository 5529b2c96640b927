package import Fabric
package import Kernels

/// The weights of a table in memory that the ranks of a machine share: one copy, of which each rank
/// reads all and writes a part, the rows it owns and those that other machines send it.
///
/// Between ``publish()`` and ``settle()`` nobody reads the table. Safe to use: the views keep the
/// memory.
@safe
package final class SharedRows {
  /// `(rows of the table, stride)`.
  package let weights: AlignedBuffer<Float>
  /// The rows that this rank writes when the whole table is written: on one machine those it owns,
  /// on several an equal part of all.
  package let written: Range<Int>
  private let stride: Int
  private let memory: any SharedMemory
  private var isPending = false
  /// Rows of other machines that are on their way.
  private var arriving: OwnerRows?

  /// A collective.
  ///
  /// - Parameters:
  ///   - ownership: Who owns which rows.
  ///   - stride: Floats per row.
  ///   - group: The ranks.
  /// - Throws: `SharedMemoryError` when the machine has not got as much; what the group throws.
  package init(ownership: RowOwnership, stride: Int, group: any ProcessGroup) throws {
    let (machines, rows) = (group.machines, ownership.rowCount)
    let (index, count) = (machines.index, machines.neighbours.count)
    written =
      machines.machineCount == 1
      ? ownership.rows(of: group.rank) : index * rows / count..<(index + 1) * rows / count
    let memory = try group.shareMemory(byteCount: written.count * stride * 4, .joined)
    self.memory = memory
    self.stride = stride
    guard let base = unsafe memory.whole.baseAddress else {
      preconditionFailure("shared memory has an address")
    }
    weights = unsafe AlignedBuffer(viewing: base, count: rows * stride, owner: memory)
  }

  /// Says that this rank has written its part.
  ///
  /// - Throws: What the group throws.
  package func publish() throws {
    try settle()
    try memory.arrive()
    isPending = true
  }

  /// Says that this rank has written the rows it owns, and leaves those of other machines, which
  /// are on their way, to ``settle()``. Nothing may be pending.
  func publish(expecting rows: OwnerRows) {
    precondition(!isPending, "a table is settled before rows are on their way")
    arriving = rows
    isPending = true
  }

  /// Returns when all ranks have written their parts; at once when nothing was published.
  ///
  /// - Throws: What the group throws.
  package func settle() throws {
    guard isPending else { return }
    isPending = false
    if let rows = arriving {
      arriving = nil
      try rows.finish()
      for index in 0..<rows.sourceCount { write(rows.received(index)) }
      try memory.arrive()
    }
    try memory.wait()
  }

  private func write(_ list: KeyedRows) {
    for position in 0..<list.count {
      unsafe (weights.pointer + Int(list.keys[position]) * stride).update(
        from: list.rows + position * stride, count: stride)
    }
  }

  /// Waits for all ranks of the machine, on both sides of `body`, which writes this rank's part.
  ///
  /// - Throws: What `body` and the group throw.
  package func rewrite(_ body: () throws -> Void) throws {
    try settle()
    try memory.fence()
    try body()
    try memory.fence()
  }
}
