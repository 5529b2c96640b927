package import Kernels
import Randomness
package import Sharding

/// LightGCN: rows are averaged over the graph `K` times; a score is the product of the means of all
/// layers.
///
///     E⁽ᵏ⁺¹⁾ = D^−½ A D^−½ E⁽ᵏ⁾        final = 1/(K+1) · Σ E⁽ᵏ⁾        score = final_u · final_i
///
/// He et al., *LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation*,
/// SIGIR 2020, section 3. Embeddings start from N(0, 0.1²) in the authors' code.
package final class LightGraphConvolution: PropagatedProduct {
  package let product: DotProduct
  private let layers: Int
  private let initialDeviation: Double

  /// - Parameters:
  ///   - factors: `F`, at least 1.
  ///   - layers: `K`, at least 1.
  ///   - initialDeviation: Of the normal distribution that embeddings start from.
  package init(factors: Int, layers: Int, initialDeviation: Double = 0.1) {
    precondition(layers >= 1, "a graph model has at least one layer")
    product = DotProduct(factors: factors)
    self.layers = layers
    self.initialDeviation = initialDeviation
  }

  package var userLayout: RowLayout { product.layout }
  package var itemLayout: RowLayout { product.layout }
  package var denseTensors: [DenseTensor] { [] }
  package var denseCount: Int { RowLayout.lanes }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialUsers), deviation: initialDeviation, firstRow: firstRow)
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    table.fillNormally(
      Philox(seed: seed, purpose: .initialItems), deviation: initialDeviation, firstRow: firstRow)
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {}

  package func makePropagation(over graph: InteractionGraph) throws -> any Propagation {
    try LightGraphPropagation(over: graph, layout: product.layout, layers: layers)
  }
}
