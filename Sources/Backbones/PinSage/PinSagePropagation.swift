import Kernels
import Sharding

/// The layers of PinSage, forward and backward, on both sides of the graph.
///
/// - Complexity: per layer forward two sparse products, O(T · (U + I) · F / P), and products of `F²`
///   per item and `2F²` per row; about twice that backward. `K + 1` collectives forward, `2K` backward.
@safe
final class PinSagePropagation: Propagation {
  let users: RowTable
  let items: RowTable
  private let layers: Int
  private let stride: Int
  private let denseCount: Int
  private let userProduct: NeighbourProduct
  private let itemProduct: NeighbourProduct
  private let userSide: PinSageSide
  private let itemSide: PinSageSide
  /// `(owned, F)` of each layer: what items tell their neighbours.
  private let messages: [AlignedBuffer<Float>]
  /// `(I, F)`: the messages of all items.
  private let allMessages: AlignedBuffer<Float>
  /// `(owned, F)` each: gradients of messages from users and from items.
  private let messageGradient: AlignedBuffer<Float>
  private let secondGradient: AlignedBuffer<Float>
  /// `(owned, F)`: this rank's part of the propagated rows of items.
  private let scoredOwn: AlignedBuffer<Float>
  private let maps: PinSageMap.Model

  /// A collective.
  ///
  /// - Parameters:
  ///   - graph: The edges of this rank's users.
  ///   - neighbours: Of this rank's users and items.
  ///   - maps: The dense parameters.
  ///   - layout: Of all rows.
  /// - Throws: What the group throws.
  init(
    over graph: InteractionGraph, neighbours: WalkNeighbours, maps: PinSageMap.Model,
    layout: RowLayout
  ) throws {
    self.maps = maps
    layers = maps.outputs.count
    stride = layout.stride
    denseCount = maps.floatCount
    let owned = graph.ownedItems
    let itemShards = graph.itemRanges.map {
      $0.lowerBound - owned.lowerBound..<$0.upperBound - owned.lowerBound
    }
    userProduct = try NeighbourProduct(
      neighbours.users, shards: graph.userRanges, graph: graph, stride: stride)
    itemProduct = try NeighbourProduct(
      neighbours.items, shards: itemShards, graph: graph, stride: stride)
    userSide = PinSageSide(
      shards: graph.userRanges, rows: 0..<graph.userDegrees.count, maps: maps, stride: stride)
    itemSide = PinSageSide(shards: itemShards, rows: owned, maps: maps, stride: stride)
    users = RowTable(propagated: layout, rows: 0..<graph.userDegrees.count)
    items = RowTable(propagated: layout, rows: 0..<graph.itemDegrees.count)
    let count = owned.count * stride
    messages = maps.outputs.map { _ in AlignedBuffer(count: count) }
    allMessages = AlignedBuffer(count: graph.itemDegrees.count * stride)
    messageGradient = AlignedBuffer(count: count)
    secondGradient = AlignedBuffer(count: count)
    scoredOwn = AlignedBuffer(count: count)
  }

  func forward(_ tables: PropagatedTables, dropout: DropoutKey?) throws {
    unsafe userSide.begin(tables.users.weights.pointer)
    unsafe itemSide.begin(tables.items.row(tables.items.owned.lowerBound))
    for layer in 0..<layers {
      unsafe itemSide.writeMessages(
        layer, dense: tables.dense, into: messages[layer].pointer)
      unsafe try itemProduct.gather(messages[layer].pointer, into: allMessages.pointer)
      for (side, product) in [(userSide, userProduct), (itemSide, itemProduct)] {
        unsafe product.multiply(items: allMessages.pointer, into: side.means(layer))
        unsafe side.forward(layer, dense: tables.dense)
      }
    }
    unsafe userSide.writeHead(dense: tables.dense, into: users.weights.pointer)
    unsafe itemSide.writeHead(dense: tables.dense, into: scoredOwn.pointer)
    unsafe try itemProduct.gather(scoredOwn.pointer, into: items.weights.pointer)
  }

  func backward(
    users userGradients: KeyedRows, items itemGradients: KeyedRows, _ tables: PropagatedTables,
    denseLeaves: UnsafeMutablePointer<Float>
  ) throws -> (users: KeyedRows, items: KeyedRows) {
    let leaves = unsafe PinSageSide.Leaves(pointer: denseLeaves, count: denseCount)
    unsafe userSide.backwardLast(userGradients, dense: tables.dense, leaves)
    unsafe itemSide.backwardLast(itemGradients, dense: tables.dense, leaves)
    for layer in (0..<layers).reversed() {
      if layer < layers - 1 {
        unsafe userSide.backward(layer, dense: tables.dense, leaves)
        unsafe itemSide.backward(layer, dense: tables.dense, leaves)
      }
      unsafe try userProduct.multiplyTransposed(
        userSide.meanGradients, into: messageGradient.pointer)
      unsafe try itemProduct.multiplyTransposed(
        itemSide.meanGradients, into: secondGradient.pointer)
      unsafe Elementwise.add(
        Matrix(secondGradient.pointer, stride: stride),
        to: MutableMatrix(messageGradient.pointer, stride: stride), rows: itemSide.count,
        columns: stride)
      userSide.passBack()
      unsafe itemSide.passBack(
        layer, messages: messages[layer].pointer, gradient: messageGradient.pointer,
        dense: tables.dense, leaves)
    }
    return (userSide.gradients, itemSide.gradients)
  }
}
