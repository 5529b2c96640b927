package import Kernels
import Randomness
package import Sharding

/// NGCF: rows pass layers that mix each with its neighbours; a score is the product of all layers
/// side by side, each normalised.
///
///     S = Â E        Â = D̃⁻¹ (A + I)
///     E⁽ᵏ⁺¹⁾ = leaky(S W₁ᵀ + b₁) + leaky((E ⊙ S) W₂ᵀ + b₂)
///     final = [E⁽⁰⁾, E⁽¹⁾/‖E⁽¹⁾‖, …, E⁽ᴷ⁾/‖E⁽ᴷ⁾‖]        score = final_u · final_i
///
/// Wang et al., *Neural Graph Collaborative Filtering*, SIGIR 2019, sections 2.2 and 2.3, with the
/// row-normalised adjacency that the authors' code takes by default. Each layer's output passes
/// message dropout, and `Â` may pass node dropout (``NodeDropout``). Initial values are Xavier's.
package final class NeuralGraphCollaborativeFiltering: PropagatedProduct {
  /// Sizes of a model.
  package struct Shape: Equatable, Sendable {
    /// `F`, of every layer.
    package let factors: Int
    /// `K`.
    package let layers: Int
    /// The share of a layer's output that is dropped in training.
    package let dropout: Float
    /// The share of the entries of `Â` that is left out in training.
    package let nodeDropout: Float

    package init(factors: Int, layers: Int, dropout: Float, nodeDropout: Float = 0) {
      precondition(layers >= 1, "a graph model has at least one layer")
      self.factors = factors
      self.layers = layers
      self.dropout = dropout
      self.nodeDropout = nodeDropout
    }
  }

  private let shape: Shape
  private let layout: RowLayout
  private let parameters: [NeuralGraphLayer]
  package let product: DotProduct
  private let userCount: Int
  private let itemCount: Int

  /// - Parameters:
  ///   - shape: The sizes.
  ///   - userCount: Users of the whole job, for the initial values.
  ///   - itemCount: Items.
  package init(_ shape: Shape, userCount: Int, itemCount: Int) {
    self.shape = shape
    self.userCount = userCount
    self.itemCount = itemCount
    layout = RowLayout(factors: shape.factors, hasBias: false)
    let size = NeuralGraphLayer.floatCount(factors: shape.factors)
    parameters = (0..<shape.layers).map {
      NeuralGraphLayer(number: $0 + 1, factors: shape.factors, offset: $0 * size)
    }
    product = DotProduct(factors: (shape.layers + 1) * layout.stride)
  }

  package var userLayout: RowLayout { layout }
  package var itemLayout: RowLayout { layout }
  package var denseTensors: [DenseTensor] { parameters.flatMap(\.tensors) }
  package var denseCount: Int {
    shape.layers * NeuralGraphLayer.floatCount(factors: shape.factors)
  }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    XavierValues(inputs: userCount, outputs: shape.factors).fill(
      table, layout: layout, firstRow: firstRow,
      random: Philox(seed: seed, purpose: .initialUsers))
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    XavierValues(inputs: itemCount, outputs: shape.factors).fill(
      table, layout: layout, firstRow: firstRow,
      random: Philox(seed: seed, purpose: .initialItems))
  }

  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    let random = Philox(seed: seed, purpose: .initialDense)
    for tensor in denseTensors {
      // The authors draw biases too, as matrices of one row.
      let inputs = tensor.shape.count == 1 ? 1 : shape.factors
      unsafe XavierValues(inputs: inputs, outputs: shape.factors).fill(
        dense + tensor.offset, count: tensor.shape.reduce(1, *), first: tensor.offset,
        random: random)
    }
  }

  package func makePropagation(over graph: InteractionGraph) throws -> any Propagation {
    try NeuralGraphPropagation(
      over: graph, shape: shape, parameters: parameters, rows: layout, scored: product.layout,
      userCount: userCount)
  }
}
