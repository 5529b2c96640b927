import Kernels
import Sharding

/// The layers of LightGCN, forward and backward.
///
/// The operator is symmetric, so gradients take the same way as rows:
///
///     H⁽ᴷ⁾ = G        H⁽ᵏ⁾ = G + D^−½ A D^−½ H⁽ᵏ⁺¹⁾        ∂/∂E⁽⁰⁾ = H⁽⁰⁾ / (K+1)
///
/// A user or an item without edges keeps its row of layer 0, and zeros in the others.
///
/// - Complexity: forward and backward `2K` sparse products each, O(K · edges · F / P), and `2K`
///   collectives; for each layer a rank sends `4F` bytes for each of its partial sums, and gives its
///   own item rows to all.
@safe
final class LightGraphPropagation: Propagation {
  let users: RowTable
  let items: RowTable
  private let layers: Int
  private let stride: Int
  private let product: GraphProduct
  private let userScales: GraphProduct.Scales
  private let itemScales: GraphProduct.Scales
  private let userSide: Side
  private let itemSide: Side
  /// `(I, F)`: the items' rows of the layer at hand.
  private let allItems: AlignedBuffer<Float>

  /// A collective.
  ///
  /// - Parameters:
  ///   - graph: The edges of this rank's users.
  ///   - layout: Of all rows.
  ///   - layers: `K`.
  /// - Throws: What an exchange throws.
  init(over graph: InteractionGraph, layout: RowLayout, layers: Int) throws {
    self.layers = layers
    stride = layout.stride
    product = try GraphProduct(graph, stride: stride)
    let normalize: (Float) -> Float = { $0 > 0 ? 1 / $0.squareRoot() : 0 }
    let (byUser, byItem) = (
      AlignedBuffer(graph.userDegrees, normalize), AlignedBuffer(graph.itemDegrees, normalize)
    )
    userScales = GraphProduct.Scales(written: byUser, read: byItem)
    itemScales = GraphProduct.Scales(written: byItem, read: byUser)
    userSide = Side(rows: 0..<graph.userDegrees.count, stride: stride)
    itemSide = Side(rows: product.owned, stride: stride)
    users = RowTable(propagated: layout, rows: 0..<graph.userDegrees.count)
    items = RowTable(propagated: layout, rows: 0..<graph.itemDegrees.count)
    allItems = AlignedBuffer(count: graph.itemDegrees.count * stride)
  }

  func forward(_ tables: PropagatedTables, dropout: DropoutKey?) throws {
    unsafe userSide.begin(tables.users.weights.pointer)
    unsafe itemSide.begin(tables.items.row(tables.items.owned.lowerBound))
    try climb {
      userSide.addNextToSum()
      itemSide.addNextToSum()
    }
    let share = 1 / Float(layers + 1)
    unsafe userSide.writeSum(times: share, into: users.weights.pointer)
    unsafe itemSide.writeSum(times: share, into: itemSide.next.pointer)
    unsafe try product.gather(itemSide.next.pointer, into: items.weights.pointer)
  }

  func backward(
    users userGradients: KeyedRows, items itemGradients: KeyedRows, _ tables: PropagatedTables,
    denseLeaves: UnsafeMutablePointer<Float>
  ) throws -> (users: KeyedRows, items: KeyedRows) {
    let share = 1 / Float(layers + 1)
    userSide.begin(userGradients, times: share)
    itemSide.begin(itemGradients, times: share)
    try climb {
      userSide.addSumToNext()
      itemSide.addSumToNext()
    }
    return (userSide.finish(), itemSide.finish())
  }

  /// Multiplies `K` times, from the rows that both sides begin with; calls `body` when a layer is in
  /// the next rows of both.
  private func climb(_ body: () -> Void) throws {
    for layer in 1...layers {
      let items = unsafe try product.all(itemSide.current, gatheredInto: allItems.pointer)
      unsafe product.multiply(items: items, userScales, intoUsers: userSide.next.pointer)
      unsafe try product.multiply(
        users: userSide.current, itemScales, intoItems: itemSide.next.pointer)
      body()
      if layer < layers {
        userSide.advance()
        itemSide.advance()
      }
    }
  }
}

/// Working rows of one side: this rank's users, or the item rows that it owns.
@safe
private final class Side {
  private let count: Int
  private let stride: Int
  /// The layer at hand: the rows that both ways begin with are read where they are.
  private(set) var current: UnsafePointer<Float>
  /// The layer after it, and the memory of the one after that.
  private(set) var next: AlignedBuffer<Float>
  private var spare: AlignedBuffer<Float>
  /// The result of the way back, which forward passes leave alone.
  private var gradients: AlignedBuffer<Float>
  /// The sum of the layers; on the way back the gradient of the propagated rows.
  private let sum: AlignedBuffer<Float>
  private let keys: AlignedBuffer<UInt32>
  private let firstRow: Int

  init(rows: Range<Int>, stride: Int) {
    count = rows.count
    firstRow = rows.lowerBound
    self.stride = stride
    next = AlignedBuffer(count: rows.count * stride)
    spare = AlignedBuffer(count: rows.count * stride)
    gradients = AlignedBuffer(count: rows.count * stride)
    sum = AlignedBuffer(count: rows.count * stride)
    unsafe current = UnsafePointer(sum.pointer)
    keys = AlignedBuffer(count: rows.count)
    for (index, row) in rows.enumerated() { unsafe keys.pointer[index] = UInt32(row) }
  }

  /// Starts with all rows of layer 0, which stay as they are until the last layer is there.
  func begin(_ rows: UnsafePointer<Float>) {
    unsafe sum.pointer.update(from: rows, count: sum.count)
    unsafe current = rows
  }

  /// Starts with the gradients of some propagated rows; the others are zero.
  func begin(_ gradients: KeyedRows, times share: Float) {
    unsafe sum.pointer.update(repeating: 0, count: sum.count)
    for index in 0..<gradients.count {
      let row = unsafe Int(gradients.keys[index]) - firstRow
      unsafe Elementwise.scale(
        Matrix(gradients.rows + index * stride, stride: stride), by: share,
        into: MutableMatrix(sum.pointer + row * stride, stride: stride), rows: 1, columns: stride)
    }
    unsafe current = UnsafePointer(sum.pointer)
  }

  private func matrix(_ buffer: AlignedBuffer<Float>) -> MutableMatrix {
    unsafe MutableMatrix(buffer.pointer, stride: stride)
  }

  func addNextToSum() {
    Elementwise.add(matrix(next).reading, to: matrix(sum), rows: count, columns: stride)
  }

  func addSumToNext() {
    Elementwise.add(matrix(sum).reading, to: matrix(next), rows: count, columns: stride)
  }

  func writeSum(times share: Float, into target: UnsafeMutablePointer<Float>) {
    unsafe Elementwise.scale(
      matrix(sum).reading, by: share, into: MutableMatrix(target, stride: stride), rows: count,
      columns: stride)
  }

  /// Goes on with the next layer.
  func advance() {
    unsafe current = UnsafePointer(next.pointer)
    swap(&next, &spare)
  }

  /// Ends the way back: the next rows are the gradients.
  func finish() -> KeyedRows {
    swap(&next, &gradients)
    return unsafe KeyedRows(keys: keys.pointer, rows: gradients.pointer, count: count)
  }
}
