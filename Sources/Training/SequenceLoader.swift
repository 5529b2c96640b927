package import Backbones
import Fabric
package import Interactions
import Kernels
import Sharding
import Storage

/// Fills batches with whole users, for a backbone that reads sequences: one pass over a sequence
/// serves all rows of its user.
///
/// `--batch` counts users here. Each shard visits its users in the order of ``EpochOrder``, and step
/// `t` of `T` takes the users at `⌊t·u/T⌋ ..< ⌊(t+1)·u/T⌋` of its `u`. What a row is, where it stands
/// and which unlabeled items accompany it follow from (seed, epoch, row) alone. An unlabeled row has
/// the place of the labeled row it was drawn for.
@safe
package final class SequenceLoader: EpochSource {
  package let stepCount: Int
  package let rowCount: Int
  package let sequences: SequenceCapacity?
  private let shards: [ShardSequences]
  private let samplers: [UnlabeledSampler]
  private let group: any ProcessGroup
  private let seed: UInt64
  private let perRow: Int
  private let firstUser: Int
  private let alwaysSupplies: Bool
  private let walks: [EpochWalk]
  /// Of each shard: its users in the order of the epoch.
  private let visits: [AlignedBuffer<Int>]
  /// `(T)`: labeled rows of each step of the epoch, over all shards.
  private let stepRows: AlignedBuffer<Int64>
  private var epoch: Int?
  private let mostRows: Int
  private let staged: StagedRows

  /// A collective.
  ///
  /// - Parameters:
  ///   - configuration: Batch size, seed and unlabeled source.
  ///   - length: `n`, the most places of a sequence.
  ///   - dataset: The rows; keeps an order in time.
  ///   - context: Ranks and shards.
  /// - Throws: `Failure`: data when no row has a liked item before it, or a shard cannot be mapped;
  ///   what the group throws.
  package init(
    _ configuration: TrainingConfiguration, length: Int, dataset: Dataset, context: JobContext
  ) throws {
    let run = context.tree.shards(of: context.group.rank)
    let shards = try run.map { ShardSequences(try dataset.shard($0), length: length) }
    let samplers = (configuration.method == .bce ? [] : shards).map {
      UnlabeledSampler(
        shard: $0.shard, source: configuration.unlabeledSource == .sampled ? .unmet : .exposures,
        seed: configuration.seed)
    }
    self.shards = shards
    self.samplers = samplers
    group = context.group
    seed = configuration.seed
    perRow = configuration.unlabeledPerLabeled
    firstUser = dataset.userStarts[run.lowerBound]
    var totals = [
      Int64(shards.reduce(0) { $0 + $1.users.count }),
      Int64(shards.reduce(0) { $0 + $1.rows.count }),
    ]
    unsafe try totals.withUnsafeMutableBufferPointer { unsafe try context.group.sum($0) }
    guard totals[0] > 0 else {
      throw Failure.data(
        "\(dataset.directory): no labeled row has a liked item of its user before it, which a model "
          + "of sequences needs")
    }
    rowCount = Int(totals[1])
    stepCount = (Int(totals[0]) + configuration.batch - 1) / configuration.batch
    let most = shards.map { [stepCount] in min($0.users.count, $0.users.count / stepCount + 1) }
    sequences = SequenceCapacity(
      sequences: most.reduce(0, +),
      places: zip(shards, most).reduce(0) { $0 + $1.0.mostPlaces(of: $1.1) }, length: length)
    let rows = zip(shards, most).map { $0.mostRows(of: $1) }
    mostRows = rows.reduce(0, +)
    staged = StagedRows(capacity: rows.max() ?? 0, perRow: samplers.isEmpty ? 0 : perRow)
    walks = shards.map {
      EpochWalk(count: $0.users.count, shard: $0.shard.index, seed: configuration.seed)
    }
    visits = shards.map { AlignedBuffer(count: $0.users.count) }
    stepRows = AlignedBuffer(count: stepCount)
    var lacking: [Int64] = [samplers.allSatisfy(\.canAlwaysSupply) ? 0 : 1]
    unsafe try lacking.withUnsafeMutableBufferPointer { unsafe try context.group.maximum($0) }
    alwaysSupplies = lacking[0] == 0
  }

  package func capacity(_ rows: StepRows) -> Int {
    switch rows {
    case .labeled: mostRows
    case .unlabeled: mostRows * perRow
    case .joint, .pairs: mostRows * (1 + perRow)
    }
  }

  /// - Complexity: O(users), and one collective of `8 · T` bytes for each epoch.
  package func begin(epoch: Int) throws {
    guard epoch != self.epoch else { return }
    let counts = unsafe stepRows.pointer
    unsafe counts.update(repeating: 0, count: stepCount)
    for (local, shard) in shards.enumerated() {
      let order = unsafe visits[local].pointer
      walks[local].go(to: epoch)
      unsafe walks[local].fill(order, positions: 0..<shard.users.count)
      for step in 0..<stepCount {
        for position in positions(local, step) {
          unsafe counts[step] += Int64(shard.users[order[position]].rows.count)
        }
      }
    }
    unsafe try group.sum(UnsafeMutableBufferPointer(start: counts, count: stepCount))
    self.epoch = epoch
  }

  private func positions(_ local: Int, _ step: Int) -> Range<Int> {
    EpochOrder.positions(of: shards[local].users.count, step: step, of: stepCount)
  }

  package func labeledRows(in step: Int) -> Int { unsafe Int(stepRows.pointer[step]) }

  /// - Complexity: one collective if some user has no unlabeled item, else none.
  package func totalUnlabeled(of batch: StepBatch, in step: Int) throws -> Int {
    if alwaysSupplies { return labeledRows(in: step) * perRow }
    var count = Int64(batch.count - batch.labeledCounts.reduce(0, +))
    unsafe try withUnsafeMutablePointer(to: &count) {
      unsafe try group.sum(UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    return Int(count)
  }

  /// - Complexity: O(rows + places); no communication.
  package func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    precondition(position.epoch == epoch, "an epoch begins before its steps")
    guard let sequences = batch.sequences else {
      preconditionFailure("a batch of whole users has sequences")
    }
    batch.dropout = DropoutKey(seed: seed, step: position.number)
    sequences.begin()
    var end = 0
    for local in shards.indices {
      stage(local, positions(local, position.step), sequences)
      if rows != .labeled { draw(local, epoch: position.epoch) }
      let start = end
      if rows != .unlabeled { end = staged.copyLabeled(to: batch, at: end, paired: rows == .pairs) }
      let labeled = end - start
      switch rows {
      case .labeled: break
      case .unlabeled, .joint: end = staged.copyUnlabeled(to: batch, at: end)
      case .pairs: end = staged.copyPairs(to: batch, at: end)
      }
      batch.close(shard: local, at: end, labeled: labeled)
    }
  }

  /// Reads the sequences and labeled rows of some users.
  private func stage(_ local: Int, _ positions: Range<Int>, _ sequences: SequenceBuffer) {
    let shard = shards[local]
    staged.count = 0
    guard let order = shard.shard.sequences else { return }
    for position in positions {
      let user = unsafe shard.users[visits[local].pointer[position]]
      let liked = unsafe order.items[shard.shard.local(user.id)]
      let target = unsafe sequences.next
      for place in 0..<user.places.count {
        unsafe target[place] = unsafe liked[user.places.lowerBound + place]
      }
      let first = sequences.append(user: user.id, count: user.places.count)
      for row in user.rows {
        staged.append(
          shard.rows[row], of: shard.shard.train, user: user.id - UInt32(firstUser),
          firstPlace: first - user.places.lowerBound)
      }
    }
  }

  private func draw(_ local: Int, epoch: Int) {
    unsafe samplers[local].sample(
      into: staged.drawn.pointer,
      rows: UnsafeBufferPointer(start: staged.rows.pointer, count: staged.count),
      users: UnsafeBufferPointer(start: staged.users.pointer, count: staged.count),
      firstUser: firstUser, epoch: epoch, perRow: perRow)
  }
}
