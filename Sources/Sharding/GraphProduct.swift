import Fabric
package import Kernels

/// Products with the scaled adjacency of the graph, over all ranks: a layer of a graph model.
///
///     users ← L_u A (R_i items)        items ← L_i Aᵀ (R_u users)
///
/// where an edge may have a weight that changes from step to step in place of 1.
/// Users' rows stay with their rank; of items each rank owns some rows, and reads all.
///
/// - Complexity: O(edges · F / P) for each product. Items' rows take two collectives: partial sums to
///   their owners, owners' rows to all.
@safe
package final class GraphProduct {
  /// Factors of rows: by the row that is written, and by the row that is read; `nil` stands for 1.
  package struct Scales {
    package let written: AlignedBuffer<Float>?
    package let read: AlignedBuffer<Float>?

    package init(written: AlignedBuffer<Float>?, read: AlignedBuffer<Float>?) {
      self.written = written
      self.read = read
    }

    fileprivate var pointers: SparseProduct.Scales {
      unsafe SparseProduct.Scales(outputs: written?.pointer, inputs: read?.pointer)
    }
  }

  /// `F`, in whole blocks.
  package let stride: Int
  /// The item rows that this rank owns.
  package let owned: Range<Int>
  private let graph: InteractionGraph
  private let isAlone: Bool
  private let exchange: WholeTableExchange
  private let partials: PartialRows
  private let scratch: TreeScratch

  /// A collective.
  ///
  /// - Parameters:
  ///   - graph: The edges of this rank's users.
  ///   - stride: Floats per row.
  /// - Throws: What the group throws.
  package init(_ graph: InteractionGraph, stride: Int) throws {
    self.graph = graph
    isAlone = graph.group.size == 1
    self.stride = stride
    partials = graph.transposed.makePartials(stride: stride)
    scratch = TreeScratch(stride: stride, shardCount: graph.tree.shardCount)
    exchange = try WholeTableExchange(
      partials, group: graph.group, ownership: graph.ownership, shardCount: graph.tree.shardCount,
      ordered: graph.isOrdered)
    owned = exchange.owned
  }

  /// Sums of items' rows for this rank's users.
  ///
  /// - Parameters:
  ///   - items: `(I, stride)`.
  ///   - scales: `(U')` for what is written, `(I)` for what is read.
  ///   - weights: Of the edges; `nil` for 1.
  ///   - users: `(U', stride)`, overwritten.
  package func multiply(
    items: UnsafePointer<Float>, _ scales: Scales, weights: EdgeWeights? = nil,
    intoUsers users: UnsafeMutablePointer<Float>
  ) {
    unsafe SparseProduct.multiply(
      weights?.byUser ?? graph.edges, by: Matrix(items, stride: stride), columns: stride,
      scales: scales.pointers, into: MutableMatrix(users, stride: stride))
  }

  /// Sums of users' rows of all ranks for the items that this rank owns.
  ///
  /// - Parameters:
  ///   - users: `(U', stride)`.
  ///   - scales: `(I)` for what is written, `(U')` for what is read.
  ///   - weights: Of the edges; `nil` for 1.
  ///   - items: `(owned, stride)`, overwritten.
  /// - Throws: What the group throws.
  package func multiply(
    users: UnsafePointer<Float>, _ scales: Scales, weights: EdgeWeights? = nil,
    intoItems items: UnsafeMutablePointer<Float>
  ) throws {
    unsafe SparseProduct.multiplyTransposed(
      weights?.byItem ?? graph.transposed, by: Matrix(users, stride: stride), columns: stride,
      scales: scales.pointers, scratch: scratch, into: partials)
    unsafe try exchange.reduce(partials, into: items)
  }

  /// The rows of all owners: gathered into `buffer`, or where they are when a rank is alone.
  package func all(
    _ rows: UnsafePointer<Float>, gatheredInto buffer: UnsafeMutablePointer<Float>
  ) throws -> UnsafePointer<Float> {
    if isAlone { return unsafe rows }
    unsafe try exchange.gather(rows, into: buffer)
    return unsafe UnsafePointer(buffer)
  }

  /// Gives every rank the rows of all owners; see ``WholeTableExchange/gather(_:into:)``.
  package func gather(
    _ rows: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>
  ) throws {
    unsafe try exchange.gather(rows, into: all)
  }
}
