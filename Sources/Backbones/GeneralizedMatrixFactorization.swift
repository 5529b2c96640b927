package import Kernels
import Randomness
package import Sharding

/// GMF: `score = wᵀ(p_u ⊙ q_i) + b`, optionally `+ b_u + b_i`.
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.2. Embeddings start from
/// N(0, 0.01²), `w` uniformly in ±√(3/F), biases at 0.
package final class GeneralizedMatrixFactorization: CandidateScoring {
  private let layout: RowLayout
  private let candidateScratch: AlignedBuffer<Float>

  /// - Parameters:
  ///   - factors: `F`, at least 1.
  ///   - hasBiases: Whether users and items have a bias each.
  package init(factors: Int, hasBiases: Bool) {
    layout = RowLayout(factors: factors, hasBias: hasBiases)
    candidateScratch = AlignedBuffer(count: 6 * WeightedProduct.denseCount(layout))
  }

  package var userLayout: RowLayout { layout }
  package var itemLayout: RowLayout { layout }
  package var denseCount: Int { WeightedProduct.denseCount(layout) }
  package var denseTensors: [DenseTensor] {
    [
      DenseTensor(name: "output.weight", shape: [layout.factors], offset: 0),
      DenseTensor(name: "output.bias", shape: [1], offset: layout.stride),
    ]
  }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialUsers), deviation: 0.01, firstRow: firstRow)
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialItems), deviation: 0.01, firstRow: firstRow)
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    let random = Philox(seed: seed, purpose: .initialDense)
    let bound = (3 / Double(layout.factors)).squareRoot()
    for factor in 0..<layout.factors {
      unsafe dense[factor] = Float(bound * (2 * random.uniform(row: factor) - 1))
    }
  }

  package func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    unsafe WeightedProduct.forward(
      into: scores, count: batch.count, users: parameters.users, items: parameters.items,
      dense: parameters.dense, layout: layout)
  }

  package func forwardCandidates(
    _ batch: RowBatch, _ parameters: BatchParameters, _ shifts: BatchShifts,
    userSegments: SegmentSort, into scores: CandidateScores
  ) {
    unsafe WeightedProduct.forwardCandidates(
      into: scores, users: parameters.users, items: parameters.items, dense: parameters.dense,
      shifts: shifts, segments: userSegments, layout: layout, scratch: candidateScratch.pointer)
  }

  package func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    let input = unsafe WeightedProduct.BackwardInput(
      scoreGradients: scoreGradients, users: parameters.users, items: parameters.items,
      dense: parameters.dense, layout: layout, runs: batch.runs)
    unsafe WeightedProduct.backwardUsers(
      input, segments: gradients.userSegments, gradients: gradients.userRows.pointer,
      denseGradients: gradients.denseLeaves)
    WeightedProduct.backwardItems(
      input, segments: gradients.itemSegments, ordered: gradients.isOrdered,
      scratch: gradients.scratch, partials: gradients.itemPartials)
  }
}
