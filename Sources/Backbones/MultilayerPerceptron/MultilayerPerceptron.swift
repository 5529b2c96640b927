/// MLP: a tower of layers over the concatenated embeddings.
///
///     x₀ = [p_u ; q_i]      xₗ = max(0, Wₗ xₗ₋₁ + bₗ), l = 1 … L      score = vᵀ x_L + c
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.3. `F` factors and `L` layers:
/// embeddings of `F · 2ᴸ⁻¹`, layers of `F · 2ᴸ → … → 2F → F`. Embeddings start from N(0, 0.01²),
/// weights Xavier-uniform, biases at 0.
package final class MultilayerPerceptron: TowerBackbone {
  /// - Parameters:
  ///   - factors: `F`, a multiple of 8.
  ///   - layers: `L`, at least 1.
  package init(factors: Int, layers: Int) {
    super.init(factors: factors, layers: layers, productFactors: 0)
  }
}
