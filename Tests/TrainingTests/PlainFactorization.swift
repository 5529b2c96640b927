import Backbones
import Kernels
import Sharding

/// Factorisation that knows nothing of candidates: an inverse gradient step scores three shifted
/// copies of the rows.
class PlainFactorization: Backbone {
  let base: GeneralizedMatrixFactorization
  /// Called before item rows are read.
  private let onRead: () -> Void

  init(factors: Int, hasBiases: Bool, onRead: @escaping () -> Void = {}) {
    base = GeneralizedMatrixFactorization(factors: factors, hasBiases: hasBiases)
    self.onRead = onRead
  }

  var userLayout: RowLayout { base.userLayout }
  var itemLayout: RowLayout { base.itemLayout }
  var denseTensors: [DenseTensor] { base.denseTensors }
  var denseCount: Int { base.denseCount }

  func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    base.initializeUsers(table, firstRow: firstRow, seed: seed)
  }

  func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    base.initializeItems(table, firstRow: firstRow, seed: seed)
  }

  func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    unsafe base.initializeDense(dense, seed: seed)
  }

  func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    onRead()
    unsafe base.forward(batch, parameters, into: scores)
  }

  func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    onRead()
    unsafe base.backward(batch, parameters, scoreGradients: scoreGradients, into: gradients)
  }

  fileprivate func read() { onRead() }
}

/// Factorisation as it is, but for the call before item rows are read.
final class ObservedFactorization: PlainFactorization, CandidateScoring {
  func forwardCandidates(
    _ batch: RowBatch, _ parameters: BatchParameters, _ shifts: BatchShifts,
    userSegments: SegmentSort, into scores: CandidateScores
  ) {
    read()
    base.forwardCandidates(
      batch, parameters, shifts, userSegments: userSegments, into: scores)
  }
}
