package import Kernels

/// Weights of the edges of a rank's users that change from step to step, for messages one way: to
/// users or to items.
///
/// - Complexity: 12 bytes for each edge.
@safe
package final class EdgeWeights {
  /// `(E)`: in the order of ``InteractionGraph/edges``; written by the caller.
  package let values: AlignedBuffer<Float>
  let byUser: SparseRows
  let byItem: SparseColumns
  /// `(E)`: the same in the order of items.
  private let valuesByItem: AlignedBuffer<Float>
  private let places: AlignedBuffer<UInt32>

  /// Weights of 0.
  ///
  /// - Parameter graph: The edges of this rank's users.
  /// - Complexity: O(items + edges); no communication.
  package init(of graph: InteractionGraph) {
    values = AlignedBuffer(count: graph.edges.entryCount)
    valuesByItem = AlignedBuffer(count: values.count)
    byUser = SparseRows(graph.edges, values: values)
    byItem = SparseColumns(graph.transposed, values: valuesByItem)
    places = SparseColumns.places(of: graph.edges)
  }

  /// Makes what was written to ``values`` count.
  ///
  /// - Complexity: O(E); no allocation, no communication.
  package func update() {
    for edge in 0..<values.count {
      unsafe valuesByItem.pointer[Int(places.pointer[edge])] = values.pointer[edge]
    }
  }
}
