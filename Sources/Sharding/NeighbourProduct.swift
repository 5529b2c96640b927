import Fabric
package import Kernels

/// Products with the neighbours' weights of one side: means of items' rows forward, and their
/// gradients, which reach the owners of the items, backward.
///
/// - Complexity: O(T · rows · F) for each product. Forward needs no message; backward takes one
///   collective.
@safe
package final class NeighbourProduct {
  private let neighbours: SparseRows
  private let transposed: SparseColumns
  private let exchange: WholeTableExchange
  private let partials: PartialRows
  private let scratch: TreeScratch
  private let stride: Int

  /// A collective.
  ///
  /// - Parameters:
  ///   - neighbours: Of this rank's rows of the side.
  ///   - shards: The rows of each shard, from 0.
  ///   - graph: Tells who owns which items.
  ///   - stride: Floats per row.
  /// - Throws: What the group throws.
  package init(
    _ neighbours: SparseRows, shards: [Range<Int>], graph: InteractionGraph, stride: Int
  ) throws {
    let group = graph.group
    self.neighbours = neighbours
    self.stride = stride
    transposed = SparseColumns(
      neighbours, shards: shards, tree: graph.tree, rank: group.rank, isOrdered: graph.isOrdered)
    partials = transposed.makePartials(stride: stride)
    scratch = TreeScratch(stride: stride, shardCount: graph.tree.shardCount)
    exchange = try WholeTableExchange(
      partials, group: group, ownership: graph.ownership, shardCount: graph.tree.shardCount,
      ordered: graph.isOrdered)
  }

  /// Writes the means of all items' rows, `(I, stride)`, for each row of the side.
  package func multiply(items: UnsafePointer<Float>, into rows: MutableMatrix) {
    unsafe SparseProduct.multiply(
      neighbours, by: Matrix(items, stride: stride), columns: stride, into: rows)
  }

  /// Writes the gradients of the items that this rank owns, `(owned, stride)`, by those of the means.
  ///
  /// - Throws: What the group throws.
  package func multiplyTransposed(_ rows: Matrix, into items: UnsafeMutablePointer<Float>) throws {
    SparseProduct.multiplyTransposed(
      transposed, by: rows, columns: stride, scratch: scratch, into: partials)
    unsafe try exchange.reduce(partials, into: items)
  }

  /// Gives every rank the rows of all owners; see ``WholeTableExchange/gather(_:into:)``.
  package func gather(_ rows: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>) throws {
    unsafe try exchange.gather(rows, into: all)
  }
}
