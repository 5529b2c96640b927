/// NeuMF: GMF and MLP side by side, each with embeddings of its own, under one output.
///
///     score = vᵀ [p'_u ⊙ q'_i ; tower([p_u ; q_i])] + c
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.4. A row is `[p' ; p]`: `F` factors
/// of the product, then the `F · 2ᴸ⁻¹` of the tower, which is that of ``MultilayerPerceptron``.
/// Initial values likewise.
package final class NeuralMatrixFactorization: TowerBackbone {
  /// - Parameters:
  ///   - factors: `F`, a multiple of 8.
  ///   - layers: `L`, at least 1.
  package init(factors: Int, layers: Int) {
    super.init(factors: factors, layers: layers, productFactors: factors)
  }

  /// Where the parts of two models that are joined come to lie.
  package struct Parts {
    /// `F`: the first columns of a row, which are GMF's embeddings.
    package let productFactors: Int
    /// `F · 2ᴸ⁻¹`: the others, which are MLP's.
    package let towerFactors: Int
    /// Dense parameters that are MLP's as they are.
    package let tower: [DenseTensor]
    /// Where the output weights start: `F` of GMF, then `F` of MLP.
    package let outputOffset: Int
    package let outputBiasOffset: Int
  }

  package var parts: Parts {
    Parts(
      productFactors: productFactors, towerFactors: towerFactors,
      tower: tower.tensors.filter { $0.offset < tower.outputOffset },
      outputOffset: tower.outputOffset, outputBiasOffset: tower.outputBiasOffset)
  }

  /// The weight α of GMF in a joined model; MLP has 1 − α (He et al., section 3.4.1).
  package static let share: Float = 0.5
}
