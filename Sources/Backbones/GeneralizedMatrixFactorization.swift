package import Kernels
import Randomness
package import Sharding

/// GMF: `score = wᵀ(p_u ⊙ q_i) + b`, optionally `+ b_u + b_i`.
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.2. Embeddings start from
/// N(0, d²), `w` uniformly in ±√(3/F), biases at 0. With `w` fixed at 1 and `b` at 0 it is matrix
/// factorisation.
package final class GeneralizedMatrixFactorization: CandidateScoring {
  private let layout: RowLayout
  package let trainsDense: Bool
  private let initialDeviation: Double
  private let candidateScratch: AlignedBuffer<Float>

  /// - Parameters:
  ///   - factors: `F`, at least 1.
  ///   - hasBiases: Whether users and items have a bias each.
  ///   - trainsOutput: Whether `w` and `b` are trained, not fixed at 1 and 0.
  ///   - initialDeviation: `d`, of the embeddings' initial values.
  package init(
    factors: Int, hasBiases: Bool, trainsOutput: Bool = true,
    initialDeviation: Double = 0.01
  ) {
    layout = RowLayout(factors: factors, hasBias: hasBiases)
    trainsDense = trainsOutput
    self.initialDeviation = initialDeviation
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
      Philox(seed: seed, purpose: .initialUsers), deviation: initialDeviation, firstRow: firstRow)
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialItems), deviation: initialDeviation, firstRow: firstRow)
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    guard trainsDense else {
      unsafe dense.update(repeating: 1, count: layout.factors)
      return
    }
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
      dense: parameters.dense, layout: layout, runs: batch.runs,
      decay: gradients.decay)
    unsafe WeightedProduct.backwardUsers(
      input, segments: gradients.userSegments, gradients: gradients.userRows.pointer,
      denseGradients: gradients.denseLeaves)
    if !trainsDense {
      unsafe gradients.denseLeaves.update(repeating: 0, count: batch.runs.count * denseCount)
    }
    WeightedProduct.backwardItems(
      input, segments: gradients.itemSegments, ordered: gradients.isOrdered,
      scratch: gradients.scratch, partials: gradients.itemPartials)
  }
}
