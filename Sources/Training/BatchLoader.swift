import Backbones
import Fabric
package import Interactions
import Kernels
import Sharding

/// Fills batches from the shards of this rank.
///
/// What a row is, where it stands in its epoch and which unlabeled items accompany it follow from
/// (seed, epoch, row) alone.
@safe
package final class BatchLoader: RowSource {
  /// `T`, steps of an epoch.
  package let stepCount: Int
  /// Labeled training rows over all shards.
  package let rowCount: Int
  private let shards: [Shard]
  private let samplers: [UnlabeledSampler]
  private let group: any ProcessGroup
  private let seed: UInt64
  private let perRow: Int
  /// Labeled rows of every shard of the job.
  private let shardRows: [Int]
  /// Whether no user of any rank can lack an unlabeled item, so that counts need no exchange.
  private let alwaysSupplies: Bool
  /// The labeled rows of `loaded`: of each shard, in order of user, then of the epoch's order. A
  /// step asks for them more than once.
  private let order: LabeledOrder
  private let records: LabeledRecords
  private let walks: [EpochWalk]
  private var rowStarts: [Int]
  private var loaded: StepPosition?
  private let drawn: AlignedBuffer<UInt32>

  /// - Parameters:
  ///   - configuration: Batch size, seed and unlabeled source.
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  /// - Throws: `Failure` when a shard cannot be mapped; what the group throws.
  package init(_ configuration: TrainingConfiguration, dataset: Dataset, context: JobContext) throws
  {
    let run = context.tree.shards(of: context.group.rank)
    let shards = try run.map { try dataset.shard($0) }
    let samplers = (configuration.method == .bce ? [] : shards).map {
      UnlabeledSampler(
        shard: $0, source: configuration.unlabeledSource == .sampled ? .unmet : .exposures,
        seed: configuration.seed)
    }
    self.shards = shards
    self.samplers = samplers
    group = context.group
    seed = configuration.seed
    perRow = configuration.unlabeledPerLabeled
    shardRows = dataset.manifest.shards.map(\.trainRows)
    rowCount = dataset.trainRows
    stepCount = max(1, (rowCount + configuration.batch - 1) / configuration.batch)
    let most = shards.map { [stepCount] in $0.train.count / stepCount + 1 }
    order = LabeledOrder(
      capacity: most.reduce(0, +),
      users: dataset.userStarts[run.lowerBound]..<dataset.userStarts[run.upperBound],
      keepsRows: !samplers.isEmpty)
    walks = shards.map {
      EpochWalk(count: $0.train.count, shard: $0.index, seed: configuration.seed)
    }
    rowStarts = [Int](repeating: 0, count: shards.count + 1)
    drawn = AlignedBuffer(count: (most.max() ?? 0) * perRow)
    var lacking: [Int64] = [
      samplers.allSatisfy(\.canAlwaysSupply) ? 0 : 1
    ]
    unsafe try lacking.withUnsafeMutableBufferPointer { unsafe try context.group.maximum($0) }
    alwaysSupplies = lacking[0] == 0
    records = LabeledRecords(shards, firstUser: order.firstUser)
  }

  package func capacity(_ rows: StepRows) -> Int {
    let labeled = shards.reduce(0) { $0 + $1.train.count / stepCount + 1 }
    return switch rows {
    case .labeled: labeled
    case .unlabeled: labeled * perRow
    case .joint, .pairs: labeled * (1 + perRow)
    }
  }

  package func labeledRows(in step: Int) -> Int {
    shardRows.reduce(0) {
      $0 + EpochOrder.positions(of: $1, step: step, of: stepCount).count
    }
  }

  /// - Complexity: one collective if some user has no unlabeled item, else none.
  package func totalUnlabeled(of batch: StepBatch, in step: Int) throws -> Int {
    if alwaysSupplies { return labeledRows(in: step) * perRow }
    var counts: [Int64] = [Int64(batch.count - batch.labeledCounts.reduce(0, +))]
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    return Int(counts[0])
  }

  /// - Complexity: O(rows); no communication.
  package func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    if position != loaded { readOrder(at: position) }
    batch.dropout = DropoutKey(seed: seed, step: position.number)
    var end = 0
    for local in shards.indices {
      let range = rowStarts[local]..<rowStarts[local + 1]
      if rows != .labeled { draw(local, range, epoch: position.epoch) }
      let start = end
      switch rows {
      case .labeled, .joint:
        order.copy(range, to: batch, at: end)
        end += range.count
      case .pairs: end = copyPositives(range, to: batch, at: end)
      case .unlabeled: break
      }
      let labeled = end - start
      switch rows {
      case .unlabeled, .joint: end = copyUnlabeled(range, to: batch, at: end)
      case .pairs: end = copyPairs(range, to: batch, positives: start, at: end)
      case .labeled: break
      }
      batch.close(shard: local, at: end, labeled: labeled)
    }
  }

  /// Draws the unlabeled items of a shard's labeled rows.
  private func draw(_ local: Int, _ range: Range<Int>, epoch: Int) {
    unsafe samplers[local].sample(
      into: drawn.pointer,
      rows: UnsafeBufferPointer(
        start: order.rows.pointer + range.lowerBound, count: range.count),
      users: UnsafeBufferPointer(
        start: order.users.pointer + range.lowerBound, count: range.count),
      firstUser: order.firstUser, epoch: epoch, perRow: perRow)
  }

  /// Finds the rows of a step.
  private func readOrder(at position: StepPosition) {
    order.begin()
    for (local, walk) in walks.enumerated() {
      rowStarts[local] = order.count
      walk.go(to: position.epoch)
      let positions = EpochOrder.positions(
        of: shards[local].train.count, step: position.step, of: stepCount)
      order.append(records, shard: local, walk, positions)
    }
    rowStarts[shards.count] = order.count
    order.sort()
    loaded = position
  }

  /// Copies what was drawn, leaving out users without an unlabeled item; returns the new end.
  private func copyUnlabeled(_ range: Range<Int>, to batch: StepBatch, at start: Int) -> Int {
    let (rowUsers, drawn) = unsafe (order.users.pointer + range.lowerBound, drawn.pointer)
    let (users, items, labels) = unsafe (
      batch.users.pointer, batch.items.pointer, batch.labels.pointer
    )
    var end = start
    for row in 0..<range.count {
      for draw in 0..<perRow {
        let item = unsafe drawn[row &* perRow &+ draw]
        unsafe users[end] = unsafe rowUsers[row]
        unsafe items[end] = item
        unsafe labels[end] = 0
        end &+= item == UnlabeledSampler.none ? 0 : 1
      }
    }
    return end
  }

  /// Whether the row `row` of `range` makes pairs. All items of a user were drawn, or none.
  private func isPaired(_ row: Int, of range: Range<Int>) -> Bool {
    unsafe order.labels.pointer[range.lowerBound &+ row] != 0
      && drawn.pointer[row &* perRow] != UnlabeledSampler.none
  }

  /// Copies the positive rows with an unlabeled item; returns the new end.
  private func copyPositives(_ range: Range<Int>, to batch: StepBatch, at start: Int) -> Int {
    var end = start
    for row in 0..<range.count where isPaired(row, of: range) {
      order.copy(range.lowerBound + row..<range.lowerBound + row + 1, to: batch, at: end)
      end &+= 1
    }
    return end
  }

  /// Copies what was drawn for the positive rows, which are in the batch from `positives` on;
  /// returns the new end.
  private func copyPairs(
    _ range: Range<Int>, to batch: StepBatch, positives: Int, at start: Int
  ) -> Int {
    var (end, partner) = (start, positives)
    for row in 0..<range.count where isPaired(row, of: range) {
      for draw in 0..<perRow {
        unsafe batch.users.pointer[end] = unsafe batch.users.pointer[partner]
        unsafe batch.items.pointer[end] = unsafe drawn.pointer[row &* perRow &+ draw]
        unsafe batch.labels.pointer[end] = 0
        unsafe batch.partners.pointer[end] = UInt32(truncatingIfNeeded: partner &- positives)
        end &+= 1
      }
      partner &+= 1
    }
    return end
  }
}
