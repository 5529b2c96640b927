import Backbones
import Fabric
import Interactions
import Kernels
import Sharding

/// The vectors of users by what they liked before a split, for rankings of all items.
///
/// Not a collective: every rank holds all item rows while it ranks, gathered once, `4 · stride` bytes
/// for each.
@safe
final class SequenceVectors {
  /// `(I, stride)`: the vectors of the items.
  let itemRows: AlignedBuffer<Float>

  private let backbone: any SequenceBackbone
  private let model: Model
  private let split: EvaluationSplit
  private let buffer: SequenceBuffer
  private let starts = AlignedBuffer<UInt32>(count: 2)
  private let shards = AlignedBuffer<UInt32>(count: 1)

  /// Gathers the item rows; a collective.
  ///
  /// - Parameters:
  ///   - backbone: Of `model`.
  ///   - model: The parameters.
  ///   - split: What is judged.
  ///   - context: Ranks and shards.
  /// - Throws: What the group throws.
  init(
    _ backbone: any SequenceBackbone, model: Model, split: EvaluationSplit, context: JobContext
  ) throws {
    self.backbone = backbone
    self.model = model
    self.split = split
    let (users, length) = (TopKRanking.blockUsers, backbone.sequenceLength)
    buffer = SequenceBuffer(
      capacity: SequenceCapacity(sequences: users, places: users * length, length: length),
      rows: 0, shardCount: 1)
    itemRows = try model.gatherItemRows(context)
  }

  /// Writes the vectors of some users.
  ///
  /// - Parameters:
  ///   - userRows: `(count)`: rows of this rank's table, of one shard.
  ///   - count: Users, at most those of a block of a ranking.
  ///   - shard: Their shard.
  ///   - vectors: `(count, stride)`, overwritten.
  func write(
    _ userRows: UnsafePointer<UInt32>, count: Int, shard: Shard,
    into vectors: UnsafeMutablePointer<Float>
  ) {
    buffer.begin()
    for row in 0..<count {
      let user = unsafe userRows[row] + UInt32(model.firstUser)
      let length = unsafe shard.copyContext(of: user, for: split.context, into: buffer.next)
      buffer.append(user: user, count: length)
    }
    buffer.close(shard: 0, rows: 0)
    let sequences = unsafe buffer.batch(
      ShardRuns(
        starts: starts.pointer, shards: shards.pointer, blocks: shards.pointer,
        shardOfRow: noRows.pointer, count: 1))
    unsafe backbone.encode(
      sequences,
      items: WeightedProduct.Side(
        base: itemRows.pointer, spacing: model.items.stride, index: sequences.items),
      dense: model.dense.row(0), into: vectors)
  }

  private let noRows = AlignedBuffer<UInt16>(count: 0)
}

extension EvaluationSplit {
  /// The split before which a user's context ends.
  var context: Split { self == .valid ? .valid : .test }
}
