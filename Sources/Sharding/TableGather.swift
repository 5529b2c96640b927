package import Fabric

/// Gives every rank the rows of a table that the others own.
@safe
package final class TableGather {
  private let group: any ProcessGroup
  private let parts: Partition

  /// - Parameters:
  ///   - group: The ranks.
  ///   - ownership: Who owns which rows.
  ///   - stride: Floats per row.
  package init(group: any ProcessGroup, ownership: RowOwnership, stride: Int) {
    self.group = group
    parts = Partition(
      counts: (0..<group.size).map { ownership.rows(of: $0).count * stride * 4 })
  }

  /// For the items of a graph.
  package convenience init(of graph: InteractionGraph, stride: Int) {
    self.init(group: graph.group, ownership: graph.ownership, stride: stride)
  }

  /// Gives every rank the rows of all owners.
  ///
  /// - Parameters:
  ///   - rows: `(owned, stride)`.
  ///   - all: `(rows of the table, stride)`, overwritten. The two do not overlap.
  /// - Throws: What the group throws.
  /// - Complexity: one collective, none for a rank alone; each rank contributes its own rows.
  package func gather(
    _ rows: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>
  ) throws {
    let own = parts.counts[group.rank]
    guard group.size > 1 else {
      unsafe UnsafeMutableRawPointer(all).copyMemory(from: rows, byteCount: own)
      return
    }
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: rows, count: own),
      into: UnsafeMutableRawBufferPointer(start: all, count: parts.total), parts)
  }
}
