package import Kernels
import Randomness
package import Sharding

/// PinSage: rows are mixed with those of the items that short random walks visit most.
///
///     n = Σ_j α_j · relu(Q h_j + q)        h' = relu(W [h ; n] + w)        h' ← h' / ‖h'‖
///     z = G₂ relu(G₁ h + g)                score = z_u · z_i
///
/// Ying et al., *Graph Convolutional Neural Networks for Web-Scale Recommender Systems*, KDD 2018,
/// section 3. There the nodes are items, here users and items alike, with the same maps: neighbours
/// of both are items, `α` their shares of the visits. All nodes are computed in every step, where
/// the paper samples. Initial values are Xavier's.
package final class PinSage: PropagatedProduct {
  package let product: DotProduct
  private let maps: PinSageMap.Model
  private let walks: RandomWalks.Plan
  private let factors: Int
  private let userCount: Int
  private let itemCount: Int

  /// - Parameters:
  ///   - factors: `F`, a multiple of 8.
  ///   - layers: `K`, at least 1.
  ///   - walks: How neighbours are found.
  ///   - userCount: Users of the whole job.
  ///   - itemCount: Items.
  package init(
    factors: Int, layers: Int, walks: RandomWalks.Plan, userCount: Int, itemCount: Int
  ) {
    precondition(layers >= 1, "a graph model has at least one layer")
    precondition(factors % 8 == 0, "rows are whole blocks")
    product = DotProduct(factors: factors)
    maps = PinSageMap.Model(factors: factors, layers: layers)
    self.factors = factors
    self.walks = walks
    self.userCount = userCount
    self.itemCount = itemCount
  }

  package var userLayout: RowLayout { product.layout }
  package var itemLayout: RowLayout { product.layout }
  package var denseTensors: [DenseTensor] { maps.tensors }
  package var denseCount: Int { maps.floatCount }

  package func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64) {
    XavierValues(inputs: userCount, outputs: factors).fill(
      table, layout: product.layout, firstRow: firstRow,
      random: Philox(seed: seed, purpose: .initialUsers))
  }

  package func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64) {
    XavierValues(inputs: itemCount, outputs: factors).fill(
      table, layout: product.layout, firstRow: firstRow,
      random: Philox(seed: seed, purpose: .initialItems))
  }

  /// Biases are 0.
  package func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64) {
    let random = Philox(seed: seed, purpose: .initialDense)
    for tensor in denseTensors where tensor.shape.count == 2 {
      unsafe XavierValues(inputs: tensor.shape[1], outputs: tensor.shape[0]).fill(
        dense + tensor.offset, count: tensor.shape.reduce(1, *), first: tensor.offset,
        random: random)
    }
  }

  package func makePropagation(over graph: InteractionGraph) throws -> any Propagation {
    try makePropagation(over: graph, neighbours: RandomWalks(walks).neighbours(over: graph))
  }

  /// The same with given neighbours. A collective.
  package func makePropagation(
    over graph: InteractionGraph, neighbours: WalkNeighbours
  ) throws -> any Propagation {
    try PinSagePropagation(
      over: graph, neighbours: neighbours, maps: maps, layout: product.layout)
  }
}
