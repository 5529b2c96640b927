import Backbones
package import Evaluation
import Fabric
package import Interactions
import Kernels
import Sharding

/// The labeled rows that are not trained on.
package enum EvaluationSplit: String, Codable, Sendable, CaseIterable {
  case valid, test
}

/// Scores rows of this rank's users with a model, and turns scores into metrics.
///
/// A collective throughout: sharded item rows are fetched chunk by chunk, and all ranks take part
/// in as many chunks as the rank with the most rows.
@safe
package final class Scorer {
  private static let largestChunk = 1 << 16
  /// Small data needs little memory. The same on every rank, since it decides microbatches.
  private static let smallestChunk = 1 << 10
  /// The most sequences of a chunk, whose places take memory.
  private static let chunkSequences = 1 << 9

  private let dataset: Dataset
  private let context: JobContext
  private let pass: BatchPass

  /// - Parameters:
  ///   - model: The parameters; those at the time of a call count.
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  package init(model: Model, dataset: Dataset, context: JobContext) {
    self.dataset = dataset
    self.context = context
    let rows = max(dataset.validRows, dataset.testRows)
    let sequences = (model.backbone as? any SequenceBackbone).map {
      SequenceCapacity(
        sequences: Self.chunkSequences, places: Self.chunkSequences * $0.sequenceLength,
        length: $0.sequenceLength)
    }
    pass = BatchPass(
      capacity: min(Self.largestChunk, max(Self.smallestChunk, rows)), sequences: sequences,
      figureCount: 0, model: model, context: context.timedApart())
  }

  /// The exact metrics of a split, the same on every rank and for every number of ranks.
  ///
  /// - Parameters:
  ///   - split: The rows.
  ///   - cutoffs: The k of NDCG@k.
  /// - Returns: The metrics over all ranks.
  /// - Throws: `Failure`: software when a score is not finite; what the group throws.
  package func evaluate(_ split: EvaluationSplit, cutoffs: [Int] = [10]) throws -> LabeledMetrics {
    let shards = try context.tree.shards(of: context.group.rank).map { try dataset.shard($0) }
    let columns = shards.map { split == .valid ? $0.valid : $0.test }
    let scores = AlignedBuffer<Float>(count: columns.reduce(0) { $0 + $1.count })
    unsafe try score(
      columns.map { unsafe UserItemRows(users: $0.users, items: $0.items) }, for: split,
      into: unsafe scores.pointer)
    try requireFinite(scores, of: columns)
    var start = 0
    let scored = zip(shards, columns).map { shard, columns in
      defer { start += columns.count }
      return unsafe ScoredShard(
        shard: shard.index, users: columns.users, labels: columns.labels,
        scores: UnsafeBufferPointer(start: scores.pointer + start, count: columns.count))
    }
    return try withExtendedLifetime((shards, scores)) {
      try LabeledEvaluation.evaluate(
        scored, cutoffs: cutoffs, tree: context.tree, group: context.group)
    }
  }

  /// Refuses scores that have no order or no loss.
  private func requireFinite(
    _ scores: AlignedBuffer<Float>, of columns: [LabeledColumns]
  ) throws {
    var (unrankable, start) = (UInt32?.none, 0)
    for column in columns {
      let users = unsafe column.users
      for row in 0..<users.count where unsafe !scores.pointer[start + row].isFinite {
        unrankable = unsafe min(unrankable ?? .max, users[row])
      }
      start += users.count
    }
    try context.refuse(unrankable: unrankable, of: dataset, what: "a finite number")
  }

  /// Pairs to score: dense ids over the whole job, users of this rank.
  @safe
  package struct UserItemRows {
    package let users: UnsafeBufferPointer<UInt32>
    package let items: UnsafeBufferPointer<UInt32>

    package init(users: UnsafeBufferPointer<UInt32>, items: UnsafeBufferPointer<UInt32>) {
      unsafe self.users = unsafe users
      unsafe self.items = unsafe items
    }
  }

  /// Writes the logits of pairs, part after part.
  ///
  /// A forward pass never mixes pairs in a way that depends on the ranks: a part is cut into
  /// microbatches of a fixed size from its start. A model of sequences reads each run of pairs of a
  /// user once.
  ///
  /// - Parameters:
  ///   - parts: For each shard of this rank, in order, pairs of its users.
  ///   - split: What users liked before it is what a model of sequences reads.
  ///   - scores: As many as there are pairs, overwritten.
  /// - Throws: `Failure` when a shard cannot be mapped; what the group throws.
  package func score(
    _ parts: [UserItemRows], for split: EvaluationSplit = .valid,
    into scores: UnsafeMutablePointer<Float>
  ) throws {
    let run = context.tree.shards(of: context.group.rank)
    precondition(parts.count == run.count, "one part for each shard of this rank")
    let readers = pass.batch.sequences == nil ? [] : try run.map { try dataset.shard($0) }
    var cursor = PairCursor(
      parts: parts, firstUser: UInt32(dataset.userStarts[run.lowerBound]), batch: pass.batch,
      shards: readers, split: split)
    var chunks: [Int64] = [Int64(cursor.fillCount())]
    if context.group.size > 1 {
      unsafe try chunks.withUnsafeMutableBufferPointer { unsafe try context.group.maximum($0) }
    }
    var written = 0
    for _ in 0..<Int(chunks[0]) {
      cursor.fill()
      // Only fetching needs each row once; reading a replica needs no order.
      if context.isSharded { pass.sort() } else { pass.refer() }
      try pass.forward(try pass.parameters())
      unsafe (scores + written).update(from: pass.batch.logits.pointer, count: pass.batch.count)
      written += pass.batch.count
    }
  }
}

/// Where a walk over several parts stands.
@safe
private struct PairCursor {
  let parts: [Scorer.UserItemRows]
  let firstUser: UInt32
  let batch: StepBatch
  /// Where sequences come from, if the batch has any.
  let shards: [Shard]
  let split: EvaluationSplit
  private var part = 0
  private var offset = 0

  init(
    parts: [Scorer.UserItemRows], firstUser: UInt32, batch: StepBatch, shards: [Shard],
    split: EvaluationSplit
  ) {
    self.parts = parts
    self.firstUser = firstUser
    self.batch = batch
    self.shards = shards
    self.split = split
  }

  /// Rows of a part that lie in one microbatch, and the sequences they read.
  private struct Cut {
    var rows = 0
    var sequences = 0
  }

  /// The cut that starts at `offset` of a part: it depends on the part alone.
  private func cut(_ part: Int, from offset: Int) -> Cut {
    let users = unsafe parts[part].users
    let rest = min(users.count - offset, batch.capacity)
    guard let most = batch.sequences?.capacity.sequences else { return Cut(rows: rest) }
    var cut = Cut()
    while cut.rows < rest {
      let row = offset + cut.rows
      if unsafe cut.rows == 0 || users[row] != users[row - 1] {
        if cut.sequences == most { break }
        cut.sequences += 1
      }
      cut.rows += 1
    }
    return cut
  }

  /// Whether a cut has room behind what a batch holds.
  private func fits(_ cut: Cut, behind used: Cut) -> Bool {
    used.rows + cut.rows <= batch.capacity
      && used.sequences + cut.sequences <= (batch.sequences?.capacity.sequences ?? 0)
  }

  /// How many batches the walk fills.
  func fillCount() -> Int {
    var (fills, used) = (0, Cut())
    for part in parts.indices {
      var offset = 0
      while unsafe offset < parts[part].users.count {
        let next = cut(part, from: offset)
        if fills == 0 || !fits(next, behind: used) {
          fills += 1
          used = Cut()
        }
        used.rows += next.rows
        used.sequences += next.sequences
        offset += next.rows
      }
    }
    return fills
  }

  /// Fills the batch with the next rows, users as rows of this rank's table: of each part the next
  /// whole cut, as long as it fits.
  mutating func fill() {
    batch.sequences?.begin()
    var used = Cut()
    for shard in parts.indices {
      var taken = Cut()
      if shard == part {
        taken = cut(part, from: offset)
        if fits(taken, behind: used) { copy(taken.rows, at: used.rows) } else { taken = Cut() }
        offset += taken.rows
        if unsafe offset == parts[part].users.count {
          part += 1
          offset = 0
        }
      }
      used.rows += taken.rows
      used.sequences += taken.sequences
      batch.close(shard: shard, at: used.rows, labeled: taken.rows)
    }
  }

  private func copy(_ count: Int, at start: Int) {
    let source = parts[part]
    let (users, items) = unsafe (batch.users.pointer + start, batch.items.pointer + start)
    for index in 0..<count {
      unsafe users[index] = unsafe source.users[offset &+ index] &- firstUser
      unsafe items[index] = unsafe source.items[offset &+ index]
    }
    if let sequences = batch.sequences { read(sequences, count, at: start) }
  }

  /// Reads a sequence for each run of rows of a user.
  private func read(_ sequences: SequenceBuffer, _ count: Int, at start: Int) {
    let users = unsafe parts[part].users
    var place: UInt32 = 0
    for index in 0..<count {
      let user = unsafe users[offset + index]
      if unsafe index == 0 || user != users[offset + index - 1] {
        let length = unsafe shards[part].copyContext(
          of: user, for: split.context, into: sequences.next)
        let first = sequences.append(user: user, count: length)
        place = length > 0 ? UInt32(first + length) : 0
      }
      unsafe sequences.rowPlaces.pointer[start + index] = place
    }
  }
}
