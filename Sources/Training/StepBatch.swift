package import Backbones
package import Fabric
package import Kernels

/// Memory for one rank's rows of one step: for each shard its labeled rows, then its unlabeled.
///
/// Sized once for the largest step.
@safe
package final class StepBatch {
  /// `(capacity)`: rows of this rank's user table.
  package let users: AlignedBuffer<UInt32>
  /// `(capacity)`: rows of the item table, numbered over the whole job.
  package let items: AlignedBuffer<UInt32>
  /// `(capacity)`: 1 or 0; 0 for unlabeled rows, whose objectives do not read it.
  package let labels: AlignedBuffer<Float>
  /// `(capacity)`: for unlabeled rows of ``StepRows/pairs`` the labeled row they were drawn for,
  /// counted from the first row of their shard.
  package let partners: AlignedBuffer<UInt32>
  /// `(capacity)`: scores of the rows.
  let logits: AlignedBuffer<Float>
  /// `(capacity)`: derivatives of the objective by the scores.
  let gradients: AlignedBuffer<Float>
  /// `(S')`: labeled rows of each shard; unlabeled ones follow them.
  package private(set) var labeledCounts: [Int]
  /// Rows in use.
  package private(set) var count = 0
  /// What masks of the step are drawn by; `nil` for rows that are only scored.
  package var dropout: DropoutKey?
  /// What the users of the rows liked before them, for a backbone that reads it.
  let sequences: SequenceBuffer?

  private let starts: AlignedBuffer<UInt32>
  private let shards: AlignedBuffer<UInt32>
  private let blocks: AlignedBuffer<UInt32>
  private let shardOfRow: AlignedBuffer<UInt16>
  private let shardCount: Int
  let capacity: Int

  /// - Parameters:
  ///   - capacity: Rows of the largest step.
  ///   - sequences: The most sequences of a step, for a backbone that reads them.
  ///   - tree: The shards and their owners.
  ///   - rank: This rank.
  package init(capacity: Int, sequences: SequenceCapacity? = nil, tree: ShardTree, rank: Int) {
    self.capacity = capacity
    users = AlignedBuffer(count: capacity)
    items = AlignedBuffer(count: capacity)
    labels = AlignedBuffer(count: capacity)
    partners = AlignedBuffer(count: capacity)
    logits = AlignedBuffer(count: capacity)
    gradients = AlignedBuffer(count: capacity)
    let run = tree.shards(of: rank)
    shardCount = run.count
    self.sequences = sequences.map {
      SequenceBuffer(capacity: $0, rows: capacity, shardCount: run.count)
    }
    labeledCounts = [Int](repeating: 0, count: run.count)
    starts = AlignedBuffer(count: run.count + 1)
    shards = AlignedBuffer(count: run.count)
    blocks = AlignedBuffer(count: run.count)
    shardOfRow = AlignedBuffer(count: capacity)
    for block in tree.blocks(of: rank) {
      for shard in block {
        unsafe shards.pointer[shard - run.lowerBound] = UInt32(shard)
        unsafe blocks.pointer[shard - run.lowerBound] = UInt32(block.lowerBound)
      }
    }
  }

  /// The first row of local shard `shard`.
  package func start(of shard: Int) -> Int { unsafe Int(starts.pointer[shard]) }
  /// The end of the rows of local shard `shard`.
  package func end(of shard: Int) -> Int { unsafe Int(starts.pointer[shard + 1]) }

  /// Says where the rows of local shard `shard` end; shards are closed in order.
  package func close(shard: Int, at end: Int, labeled: Int) {
    precondition(end <= capacity, "a step has more rows than planned")
    let start = unsafe Int(starts.pointer[shard])
    unsafe (shardOfRow.pointer + start).update(repeating: UInt16(shard), count: end - start)
    unsafe starts.pointer[shard + 1] = UInt32(end)
    labeledCounts[shard] = labeled
    count = end
    sequences?.close(shard: shard, rows: end)
  }

  /// The rows as a backbone sees them.
  package var rows: RowBatch {
    let runs = unsafe ShardRuns(
      starts: starts.pointer, shards: shards.pointer, blocks: blocks.pointer,
      shardOfRow: shardOfRow.pointer, count: shardCount)
    return unsafe RowBatch(
      users: users.pointer, items: items.pointer, count: count, runs: runs, dropout: dropout,
      sequences: sequences?.batch(runs))
  }
}
