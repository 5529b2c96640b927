import Backbones
import Fabric
import Kernels
import Sharding

/// Scores of consecutive items for a block of users by forward passes, for backbones whose scores are
/// no products of vectors.
///
/// Not a collective: every rank holds all item rows while it ranks, gathered once, `4 · stride` bytes
/// for each. So a backbone whose forward pass exchanges rows between ranks must rank by vectors. A
/// pass takes 16 users by the items of a tile, whatever the number of ranks.
@safe
final class PairScores {
  private static let passUsers = 16
  private static let capacity = passUsers * TopKRanking.tileItems

  private let model: Model
  /// `(I, stride)`.
  private let itemRows: AlignedBuffer<Float>
  private let users = AlignedBuffer<UInt32>(count: capacity)
  private let items = AlignedBuffer<UInt32>(count: capacity)
  private let references = AlignedBuffer<UInt32>(count: capacity)
  private let starts = AlignedBuffer<UInt32>(count: 2)
  private let shards = AlignedBuffer<UInt32>(count: 1)
  private let shardOfRow = AlignedBuffer<UInt16>(count: capacity)

  /// Gathers the item rows; a collective.
  ///
  /// - Parameters:
  ///   - model: The parameters.
  ///   - context: Ranks and shards.
  /// - Throws: What the group throws.
  init(model: Model, context: JobContext) throws {
    self.model = model
    itemRows = try model.gatherItemRows(context)
  }

  /// Writes the scores of consecutive items.
  ///
  /// - Parameters:
  ///   - userRows: `(count)`: rows of this rank's table, of one shard.
  ///   - count: Users.
  ///   - shard: Their shard.
  ///   - range: At most as many items as a tile has.
  ///   - scores: `(count, range.count)`, overwritten.
  /// - Throws: What the forward pass throws.
  func write(
    _ userRows: UnsafePointer<UInt32>, count: Int, shard: Int, items range: Range<Int>,
    into scores: UnsafeMutablePointer<Float>
  ) throws {
    precondition(range.count <= TopKRanking.tileItems, "a pass takes the items of one tile")
    for first in stride(from: 0, to: count, by: Self.passUsers) {
      var end = 0
      for user in first..<min(first + Self.passUsers, count) {
        for item in range {
          unsafe users.pointer[end] = unsafe userRows[user]
          unsafe items.pointer[end] = UInt32(truncatingIfNeeded: item)
          end &+= 1
        }
      }
      unsafe try forward(end, shard, into: scores + first * range.count)
    }
  }

  private func forward(
    _ count: Int, _ shard: Int, into scores: UnsafeMutablePointer<Float>
  ) throws {
    unsafe starts.pointer[1] = UInt32(count)
    unsafe shards.pointer[0] = UInt32(shard)
    let batch = unsafe RowBatch(
      users: users.pointer, items: items.pointer, count: count,
      runs: ShardRuns(
        starts: starts.pointer, shards: shards.pointer, blocks: shards.pointer,
        shardOfRow: shardOfRow.pointer, count: 1))
    unsafe model.backbone.writeItemReferences(of: batch, into: references.pointer)
    let parameters = unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: model.users.weights.pointer, spacing: model.users.spacing, index: users.pointer),
      items: WeightedProduct.Side(
        base: itemRows.pointer, spacing: model.items.stride, index: references.pointer),
      dense: model.dense.weights.pointer)
    unsafe try model.backbone.forward(batch, parameters, into: scores)
  }
}

extension Model {
  /// All item rows, `(I, stride)`, as they are now; a collective.
  ///
  /// - Returns: The table itself where a rank holds all of it, row after row.
  /// - Throws: What the group throws.
  func gatherItemRows(_ context: JobContext) throws -> AlignedBuffer<Float> {
    try sharedItems?.settle()
    guard context.isSharded, sharedItems == nil else { return items.consecutive(items.held) }
    let rowBytes = items.stride * MemoryLayout<Float>.stride
    let parts = Partition(
      counts: (0..<context.group.size).map { itemOwnership.rows(of: $0).count * rowBytes })
    let own = items.consecutive(items.owned)
    let all = AlignedBuffer<Float>(count: itemCount * items.stride)
    unsafe try context.group.gather(
      UnsafeRawBufferPointer(own.elements), into: UnsafeMutableRawBufferPointer(all.elements),
      parts)
    return all
  }
}
