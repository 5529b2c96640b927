package import Kernels
import Randomness
package import Sharding

/// What ``MultilayerPerceptron`` and ``NeuralMatrixFactorization`` share: pairs are scored by a tower
/// over their concatenated embeddings and, with `G` product factors, by an inner product beside it.
///
///     score = vᵀ [p'_u ⊙ q'_i ; tower([p_u ; q_i])] + c
///
/// A row of either table is `[p' ; p]`, `G + F · 2ᴸ⁻¹` floats. Every matrix product is of one shard's
/// microbatch.
@safe
package class TowerBackbone: Backbone {
  let tower: Tower
  /// `G`.
  let productFactors: Int
  /// `F · 2ᴸ⁻¹`: the part of a row that enters the tower.
  let towerFactors: Int

  /// `(B, 2G + F · 2ᴸ)`: `[p' ; p ; q ; q']`, so that the tower's input is in one piece.
  /// The backward pass leaves their gradients in their place: a batch is large, and its memory is
  /// then in the cache still.
  let pairs = ScratchBuffer<Float>()
  /// `(B, outputs)`: what each layer but the last leaves behind.
  let activations: [ScratchBuffer<Float>]
  /// `(B, G + F)`: the product and the last layer, which the output reads.
  let features = ScratchBuffer<Float>()
  /// Gradients on their way down the tower, of one microbatch: of a layer and of its input.
  let descending = [ScratchBuffer<Float>(), ScratchBuffer<Float>()]

  init(factors: Int, layers: Int, productFactors: Int) {
    MatrixProduct.useOneThread()
    tower = Tower(factors: factors, depth: layers, featuresBeside: productFactors)
    self.productFactors = productFactors
    towerFactors = tower.inputCount / 2
    activations = tower.layers.dropLast().map { _ in ScratchBuffer() }
  }

  package var userLayout: RowLayout {
    RowLayout(factors: productFactors + towerFactors, hasBias: false)
  }
  package var itemLayout: RowLayout { userLayout }
  package var denseTensors: [DenseTensor] { tower.tensors }
  package var denseCount: Int { tower.denseCount }
  package var keepsIntermediates: Bool { true }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialUsers), deviation: 0.01, firstRow: firstRow)
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialItems), deviation: 0.01, firstRow: firstRow)
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    unsafe tower.initialize(dense, seed: seed)
  }

  package func reserve(rows: Int) {
    makeRoom(rows)
    for buffer in descending { _ = unsafe buffer.reserve(rows * widestGradient) }
  }

  package func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) {
    makeRoom(batch.count)
    for shard in 0..<batch.runs.count {
      unsafe forward(batch.runs.rows(of: shard), parameters, into: scores)
    }
  }

  package func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) {
    for shard in 0..<batch.runs.count {
      let leaf = unsafe gradients.denseLeaves + shard * denseCount
      unsafe backward(
        batch.runs.rows(of: shard), parameters.dense, scoreGradients: scoreGradients, leaf: leaf)
    }
    if let decay = gradients.decay { add(decay, of: batch, parameters) }
    scatter(batch, into: gradients)
  }
}

extension ShardRuns {
  /// The rows of local shard `shard`.
  func rows(of shard: Int) -> Range<Int> { unsafe Int(starts[shard])..<Int(starts[shard + 1]) }
}
