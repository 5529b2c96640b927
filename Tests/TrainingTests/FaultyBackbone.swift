import Backbones
import Kernels
import Sharding

/// GMF in which, in chosen steps, one item's numbers go astray: in its score, or in the gradients of
/// its rows, those of its users or those of the dense parameters.
///
/// What goes astray hangs on the item and the step, so it is the same for every number of ranks.
@safe
final class FaultyBackbone: Backbone, @unchecked Sendable {
  enum Place: CaseIterable, Sendable { case score, users, items, dense }

  struct Fault: Sendable {
    var place: Place
    var value: Float
    /// Steps of the run, from 1.
    var steps: ClosedRange<Int>
    /// Of a step with several backward passes the first or the second.
    var pass = 1
    var item: UInt32 = 3
  }

  /// The step that is taken, from 1; whoever trains counts.
  var step = 0 { didSet { passes = 0 } }
  private var passes = 0
  private let fault: Fault
  private let inner: GeneralizedMatrixFactorization

  init(_ fault: Fault) {
    self.fault = fault
    inner = GeneralizedMatrixFactorization(factors: 10, hasBiases: true)
  }

  var userLayout: RowLayout { inner.userLayout }
  var itemLayout: RowLayout { inner.itemLayout }
  var denseTensors: [DenseTensor] { inner.denseTensors }
  var denseCount: Int { inner.denseCount }

  func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    inner.initializeUsers(table, firstRow: firstRow, seed: seed)
  }
  func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    inner.initializeItems(table, firstRow: firstRow, seed: seed)
  }
  func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    unsafe inner.initializeDense(dense, seed: seed)
  }

  func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    unsafe inner.forward(batch, parameters, into: scores)
    guard fault.place == .score, fault.steps.contains(step) else { return }
    for row in 0..<batch.count where unsafe batch.items[row] == fault.item {
      unsafe scores[row] = fault.value
    }
  }

  func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    unsafe inner.backward(batch, parameters, scoreGradients: scoreGradients, into: gradients)
    passes += 1
    guard fault.steps.contains(step), passes == fault.pass else { return }
    switch fault.place {
    case .score: break
    case .dense: unsafe gradients.denseLeaves[4] = fault.value
    case .items:
      let partials = gradients.itemPartials
      for index in 0..<partials.count where unsafe partials.keys.pointer[index] == fault.item {
        unsafe partials.rows.pointer[index * itemLayout.stride + 7] = fault.value
      }
    case .users:
      let segments = gradients.userSegments
      for segment in 0..<segments.segmentCount {
        let rows =
          unsafe Int(
            segments.segmentStarts.pointer[segment])..<Int(
            segments.segmentStarts.pointer[segment + 1])
        let reads = rows.contains {
          unsafe batch.items[Int(segments.order.pointer[$0])] == fault.item
        }
        if reads { unsafe gradients.userRows.pointer[segment * userLayout.stride] = fault.value }
      }
    }
  }
}
