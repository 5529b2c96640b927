package import Kernels
package import Sharding

/// A backbone that propagates rows and then scores by the product of two of them, with nothing after
/// it: LightGCN, NGCF and PinSage.
package protocol PropagatedProduct: PropagatingBackbone, FactorizedScoring {
  /// Scores propagated rows.
  var product: DotProduct { get }
}

extension PropagatedProduct {
  package var scoredUserLayout: RowLayout { product.layout }
  package var scoredItemLayout: RowLayout { product.layout }
  package var vectorWidth: Int { product.layout.factors }

  package func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    unsafe product.forward(batch, parameters, into: scores)
  }

  package func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    // The propagation adds to them.
    unsafe gradients.denseLeaves.update(repeating: 0, count: batch.runs.count * denseCount)
    unsafe product.backward(batch, parameters, scoreGradients: scoreGradients, into: gradients)
  }

  package func writeItemVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: Range<Int>, of table: RowTable,
    dense: UnsafePointer<Float>
  ) {
    unsafe product.writeVectors(into: vectors, rows: rows, of: table)
  }

  package func writeUserVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: UnsafePointer<UInt32>, count: Int,
    of table: RowTable, dense: UnsafePointer<Float>
  ) {
    let rows = unsafe UnsafeBufferPointer(start: rows, count: count)
    unsafe product.writeVectors(into: vectors, rows: rows.lazy.map { Int($0) }, of: table)
  }
}
