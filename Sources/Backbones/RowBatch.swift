package import Kernels
import Sharding

/// One rank's rows of one step, shard after shard.
@safe
package struct RowBatch {
  /// `(B)`: rows of this rank's user table.
  package let users: UnsafePointer<UInt32>
  /// `(B)`: rows of the item table, numbered over the whole job.
  package let items: UnsafePointer<UInt32>
  /// `B`.
  package let count: Int
  /// Which rows belong to which shard.
  package let runs: ShardRuns
  /// What masks of the step are drawn by; `nil` for rows that are only scored.
  package let dropout: DropoutKey?
  /// What the users of the rows liked before them, for a backbone that reads it.
  package let sequences: SequenceBatch?

  package init(
    users: UnsafePointer<UInt32>, items: UnsafePointer<UInt32>, count: Int, runs: ShardRuns,
    dropout: DropoutKey? = nil, sequences: SequenceBatch? = nil
  ) {
    unsafe self.users = unsafe users
    unsafe self.items = unsafe items
    self.count = count
    self.runs = runs
    self.dropout = dropout
    self.sequences = sequences
  }

  /// Item rows that the batch reads, one for each row and each place of a sequence.
  package var referenceCount: Int { count + (sequences?.placeCount ?? 0) }
}

/// Where a batch finds its parameters: the tables themselves, or compact copies of the touched
/// rows (fetched from other ranks, or shifted by a virtual step).
@safe
package struct BatchParameters {
  /// The user row of each row of the batch.
  package let users: WeightedProduct.Side
  /// The item row of each item reference of the batch.
  package let items: WeightedProduct.Side
  /// `(denseCount)`.
  package let dense: UnsafePointer<Float>

  package init(
    users: WeightedProduct.Side, items: WeightedProduct.Side, dense: UnsafePointer<Float>
  ) {
    self.users = users
    self.items = items
    unsafe self.dense = unsafe dense
  }
}

/// The gradients of one rank's batch, with the groupings that produce them.
@safe
package final class BatchGradients {
  /// The batch grouped by user.
  package let userSegments: SegmentSort
  /// The item references of the batch grouped by item.
  package let itemSegments: SegmentSort
  /// `(userSegments.segmentCount, stride)`: complete, since a user lives on one rank.
  package let userRows: AlignedBuffer<Float>
  /// Partial sums per item and block of shards, for the owners of the items.
  package var itemPartials: PartialRows
  /// `(S', denseCount)`: per shard; belongs to the reduction that adds them.
  package let denseLeaves: UnsafeMutablePointer<Float>
  /// Whether sums follow the shard tree.
  package let isOrdered: Bool
  /// What the backbone adds to the gradients of the rows the batch reads, if anything: `weight · θ`
  /// among the terms of each batch row.
  package var decay: BatchDecay?
  /// The stack for item rows.
  package let scratch: TreeScratch

  /// - Parameters:
  ///   - capacity: Rows of the largest batch.
  ///   - references: The most item references of a batch; `nil` for as many as rows.
  ///   - users: The most different users a batch can have; `nil` for as many as rows.
  ///   - backbone: Decides layouts.
  ///   - shardCount: `S`.
  ///   - ordered: Whether sums follow the shard tree.
  ///   - denseLeaves: Where dense gradients go.
  ///   - itemPartials: Where partial sums go; `nil` for memory of their own.
  package init(
    capacity: Int, references: Int? = nil, users: Int? = nil, backbone: any Backbone,
    shardCount: Int, ordered: Bool, denseLeaves: UnsafeMutablePointer<Float>,
    itemPartials: PartialRows? = nil
  ) {
    let references = references ?? capacity
    userSegments = SegmentSort(capacity: capacity)
    itemSegments = SegmentSort(capacity: references)
    userRows = AlignedBuffer(
      count: min(capacity, users ?? capacity) * backbone.scoredUserLayout.stride)
    self.itemPartials =
      itemPartials ?? PartialRows(capacity: references, stride: backbone.scoredItemLayout.stride)
    unsafe self.denseLeaves = unsafe denseLeaves
    isOrdered = ordered
    scratch = TreeScratch(stride: backbone.scoredItemLayout.stride, shardCount: shardCount)
  }
}
