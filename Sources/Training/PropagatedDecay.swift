import Backbones
import Fabric
import Kernels
import Sharding

/// The decay of the rows that a batch reads, for a backbone that propagates: it pulls at rows of the
/// tables, not at propagated ones.
///
/// Weights of item rows are summed over ranks like gradients, in rows of one value.
@safe
final class PropagatedDecay {
  private static let stride = RowLayout.lanes

  private let model: Model
  private let exchange: MessageExchange
  private let partials: PartialRows
  private let scratch: TreeScratch
  /// `(B, 8)`: the weight of a batch row, then zeros.
  private let weights: AlignedBuffer<Float>
  private let userWeights: AlignedBuffer<Float>

  /// Room for batches of `capacity` rows. A collective.
  ///
  /// - Parameters:
  ///   - capacity: Rows of the largest step.
  ///   - mostPartials: The most partial sums of a step.
  ///   - model: The parameters.
  ///   - context: Ranks, shards and the way sums are taken.
  /// - Throws: What the group throws.
  init(capacity: Int, mostPartials: Int, model: Model, context: JobContext) throws {
    self.model = model
    let stride = Self.stride
    exchange = MessageExchange(
      group: context.group, ownership: model.itemOwnership, stride: stride,
      shardCount: context.tree.shardCount, ordered: context.isOrdered)
    partials = try exchange.makePartials(capacity: mostPartials)
    scratch = TreeScratch(stride: stride, shardCount: context.tree.shardCount)
    weights = AlignedBuffer(count: capacity * stride)
    userWeights = AlignedBuffer(count: capacity * stride)
  }

  /// Adds the decay to gradients of all rows of this rank. A collective.
  ///
  /// - Parameters:
  ///   - decay: The weights of the batch's rows.
  ///   - batch: The rows.
  ///   - gradients: How the batch is grouped.
  ///   - users: The gradients of all user rows of this rank.
  ///   - items: The gradients of all item rows that it owns.
  /// - Throws: What the group throws.
  /// - Complexity: O(rows of the batch · F); two collectives, `8 + 32` bytes for each partial sum.
  func add(
    _ decay: BatchDecay, of batch: RowBatch, _ gradients: BatchGradients, users: KeyedRows,
    items: KeyedRows
  ) throws {
    unsafe spread(decay.users, count: batch.count)
    unsafe RowScatter.addUsers(
      Matrix(weights.pointer, stride: Self.stride), columns: 1, segments: gradients.userSegments,
      into: MutableMatrix(userWeights.pointer, stride: Self.stride))
    unsafe pull(
      users, of: model.users,
      by: KeyedRows(
        keys: gradients.userSegments.segmentKeys.pointer, rows: userWeights.pointer,
        count: gradients.userSegments.segmentCount))
    unsafe spread(decay.items, count: batch.count)
    unsafe RowScatter.addItems(
      Matrix(weights.pointer, stride: Self.stride), columns: 1, segments: gradients.itemSegments,
      runs: batch.runs, ordered: gradients.isOrdered, scratch: scratch, partials: partials)
    pull(items, of: model.items, by: try exchange.reduceToOwners(partials))
  }

  private func spread(_ source: UnsafePointer<Float>, count: Int) {
    for row in 0..<count { unsafe weights.pointer[row * Self.stride] = unsafe source[row] }
  }

  /// Adds `weight · θ` to the gradients of some rows; those of the table are all there, ascending.
  private func pull(_ gradients: KeyedRows, of table: RowTable, by weights: KeyedRows) {
    let first = table.owned.lowerBound
    for index in 0..<weights.count {
      let key = unsafe Int(weights.keys[index])
      unsafe Elementwise.add(
        Matrix(table.row(key), stride: table.stride),
        factor: weights.rows[index * Self.stride],
        to: MutableMatrix(
          gradients.rows + (key - first) * table.stride, stride: table.stride), rows: 1,
        columns: table.stride)
    }
  }
}
