package import Kernels
import Sharding

/// The score `p · q` of two rows, for backbones that compute the rows and nothing after them.
///
/// GMF's kernels with weights of one and no bias.
@safe
package final class DotProduct {
  package let layout: RowLayout
  private let ones: AlignedBuffer<Float>
  /// Gradients of the ones, which nobody wants.
  private var unused = AlignedBuffer<Float>(count: 0)

  /// - Parameter factors: `F`, at least 1.
  init(factors: Int) {
    layout = RowLayout(factors: factors, hasBias: false)
    ones = AlignedBuffer(count: WeightedProduct.denseCount(layout))
    unsafe ones.pointer.update(repeating: 1, count: factors)
  }

  func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    unsafe forward(
      count: batch.count, users: parameters.users, items: parameters.items, into: scores)
  }

  /// Writes the products of pairs of rows, wherever they are.
  func forward(
    count: Int, users: WeightedProduct.Side, items: WeightedProduct.Side,
    into scores: UnsafeMutablePointer<Float>
  ) {
    unsafe WeightedProduct.forward(
      into: scores, count: count, users: users, items: items, dense: ones.pointer, layout: layout)
  }

  /// Leaves the dense gradients alone.
  func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    let count = batch.runs.count * WeightedProduct.denseCount(layout)
    if unused.count < count { unused = AlignedBuffer(count: count) }
    let input = unsafe WeightedProduct.BackwardInput(
      scoreGradients: scoreGradients, users: parameters.users, items: parameters.items,
      dense: ones.pointer, layout: layout, runs: batch.runs)
    unsafe WeightedProduct.backwardUsers(
      input, segments: gradients.userSegments, gradients: gradients.userRows.pointer,
      denseGradients: unused.pointer)
    WeightedProduct.backwardItems(
      input, segments: gradients.itemSegments, ordered: gradients.isOrdered,
      scratch: gradients.scratch, partials: gradients.itemPartials)
  }

  /// The vectors of rankings are the rows themselves.
  func writeVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: some Sequence<Int>, of table: RowTable
  ) {
    var target = unsafe vectors
    for row in rows {
      unsafe target.update(from: table.row(row), count: layout.factors)
      unsafe target += layout.factors
    }
  }
}
