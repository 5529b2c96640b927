import Kernels
import Sharding

/// The layers of NGCF, forward and backward, on both sides of the graph.
///
/// - Complexity: forward and backward `2K` sparse products each and `4K` products with matrices of
///   `F²` per row forward, twice that backward; `2K + 1` collectives forward and `2K` backward.
@safe
final class NeuralGraphPropagation: Propagation {
  let users: RowTable
  let items: RowTable
  private let layers: Int
  private let stride: Int
  private let denseCount: Int
  private let product: GraphProduct
  /// `(owned, (K + 1) · stride)`: the propagated rows of the items that this rank owns.
  private let scoredOwn: AlignedBuffer<Float>
  private let userSide: NeuralGraphSide
  private let itemSide: NeuralGraphSide
  /// `(I, stride)`: the items' rows of the layer at hand.
  private let allItems: AlignedBuffer<Float>
  private let scoredGather: TableGather
  /// `(I)`: `1 / (degree + 1)` of every item.
  private let allScales: AlignedBuffer<Float>
  private let nodeDropout: NodeDropout?
  private var dropout: DropoutKey?
  /// The entries of `Â` that the last forward pass kept; `nil` for all.
  private var kept: NodeDropout?

  /// A collective.
  ///
  /// - Parameters:
  ///   - graph: The edges of this rank's users.
  ///   - shape: The sizes.
  ///   - parameters: Of the layers.
  ///   - rows: The layout of the tables' rows.
  ///   - scored: The layout of propagated rows.
  ///   - userCount: Users of the whole job.
  /// - Throws: What an exchange throws.
  init(
    over graph: InteractionGraph, shape: NeuralGraphCollaborativeFiltering.Shape,
    parameters: [NeuralGraphLayer], rows: RowLayout, scored: RowLayout, userCount: Int
  ) throws {
    layers = shape.layers
    stride = rows.stride
    denseCount = shape.layers * NeuralGraphLayer.floatCount(factors: shape.factors)
    product = try GraphProduct(graph, stride: stride)
    let owned = product.owned
    userSide = NeuralGraphSide(
      shards: graph.userRanges, firstRow: 0, firstNode: graph.firstUser,
      degrees: graph.userDegrees, shape: shape, parameters: parameters, stride: stride)
    itemSide = NeuralGraphSide(
      shards: graph.itemRanges.map {
        $0.lowerBound - owned.lowerBound..<$0.upperBound - owned.lowerBound
      }, firstRow: owned.lowerBound, firstNode: userCount + owned.lowerBound,
      degrees: Array(graph.itemDegrees[owned]), shape: shape, parameters: parameters,
      stride: stride)
    users = RowTable(propagated: scored, rows: 0..<graph.userDegrees.count)
    items = RowTable(propagated: scored, rows: 0..<graph.itemDegrees.count)
    scoredOwn = AlignedBuffer(count: owned.count * scored.stride)
    allItems = AlignedBuffer(count: graph.itemDegrees.count * stride)
    scoredGather = TableGather(of: graph, stride: scored.stride)
    allScales = AlignedBuffer(graph.itemDegrees) { 1 / ($0 + 1) }
    nodeDropout =
      shape.nodeDropout > 0
      ? NodeDropout(
        rate: shape.nodeDropout, graph: graph, userCount: userCount, userScales: userSide.scales,
        itemScales: itemSide.scales) : nil
  }

  func forward(_ tables: PropagatedTables, dropout: DropoutKey?) throws {
    self.dropout = dropout
    kept = dropout == nil ? nil : nodeDropout
    if let dropout { kept?.draw(dropout) }
    let finalUsers = unsafe users.weights.pointer
    unsafe userSide.begin(userRows(0, tables), into: finalUsers)
    unsafe itemSide.begin(itemRows(0, tables), into: scoredOwn.pointer)
    for layer in 1...layers {
      let (userInput, itemInput) = unsafe (userRows(layer - 1, tables), itemRows(layer - 1, tables))
      let items = unsafe try product.all(itemInput, gatheredInto: allItems.pointer)
      unsafe product.multiply(
        items: items, GraphProduct.Scales(written: userSide.scales, read: nil),
        weights: kept?.toUsers, intoUsers: userSide.mean(layer))
      unsafe try product.multiply(
        users: userInput, GraphProduct.Scales(written: allScales, read: nil),
        weights: kept?.toItems, intoItems: itemSide.mean(layer))
      unsafe userSide.forward(
        layer, rows: userInput, kept?.users, dense: tables.dense, dropout: dropout,
        into: finalUsers)
      unsafe itemSide.forward(
        layer, rows: itemInput, kept?.items, dense: tables.dense, dropout: dropout,
        into: scoredOwn.pointer)
    }
    unsafe try scoredGather.gather(scoredOwn.pointer, into: items.weights.pointer)
  }

  func backward(
    users userGradients: KeyedRows, items itemGradients: KeyedRows, _ tables: PropagatedTables,
    denseLeaves: UnsafeMutablePointer<Float>
  ) throws -> (users: KeyedRows, items: KeyedRows) {
    userSide.begin(userGradients)
    itemSide.begin(itemGradients)
    for layer in (1...layers).reversed() {
      unsafe userSide.backward(
        layer, rows: userRows(layer - 1, tables), kept?.users, dense: tables.dense,
        scoredRows: users.weights.pointer, hasDropout: dropout != nil, denseLeaves: denseLeaves,
        denseCount: denseCount)
      unsafe itemSide.backward(
        layer, rows: itemRows(layer - 1, tables), kept?.items, dense: tables.dense,
        scoredRows: scoredOwn.pointer, hasDropout: dropout != nil, denseLeaves: denseLeaves,
        denseCount: denseCount)
      try passBack()
    }
    return (userSide.finish(), itemSide.finish())
  }

  /// The gradient of the means reaches the rows that they are means of: `Âᵀ`, so that it goes against
  /// the messages.
  private func passBack() throws {
    let items = unsafe try product.all(
      itemSide.sumGradient.pointer, gatheredInto: allItems.pointer)
    unsafe product.multiply(
      items: items, GraphProduct.Scales(written: nil, read: allScales), weights: kept?.toItems,
      intoUsers: userSide.scratch.pointer)
    unsafe try product.multiply(
      users: userSide.sumGradient.pointer,
      GraphProduct.Scales(written: nil, read: userSide.scales), weights: kept?.toUsers,
      intoItems: itemSide.scratch.pointer)
    userSide.addNeighbours()
    itemSide.addNeighbours()
  }

  private func userRows(_ layer: Int, _ tables: PropagatedTables) -> UnsafePointer<Float> {
    unsafe layer == 0
      ? UnsafePointer(tables.users.weights.pointer) : UnsafePointer(userSide.output(layer))
  }

  private func itemRows(_ layer: Int, _ tables: PropagatedTables) -> UnsafePointer<Float> {
    unsafe layer == 0
      ? UnsafePointer(tables.items.row(tables.items.owned.lowerBound))
      : UnsafePointer(itemSide.output(layer))
  }
}
