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
    pass = BatchPass(
      capacity: min(Self.largestChunk, max(Self.smallestChunk, rows)), figureCount: 0,
      model: model, context: context.timedApart())
  }

  /// The exact metrics of a split, the same on every rank and for every number of ranks.
  ///
  /// - Parameters:
  ///   - split: The rows.
  ///   - cutoffs: The k of NDCG@k.
  /// - Returns: The metrics over all ranks.
  /// - Throws: `Failure`; what the group throws.
  package func evaluate(_ split: EvaluationSplit, cutoffs: [Int] = [10]) throws -> LabeledMetrics {
    let shards = try context.tree.shards(of: context.group.rank).map { try dataset.shard($0) }
    let columns = shards.map { split == .valid ? $0.valid : $0.test }
    let scores = AlignedBuffer<Float>(count: columns.reduce(0) { $0 + $1.count })
    unsafe try score(
      columns.map { unsafe UserItemRows(users: $0.users, items: $0.items) },
      into: unsafe scores.pointer)
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
  /// microbatches of a fixed size from its start.
  ///
  /// - Parameters:
  ///   - parts: For each shard of this rank, in order, pairs of its users.
  ///   - scores: As many as there are pairs, overwritten.
  /// - Throws: What the group throws.
  package func score(_ parts: [UserItemRows], into scores: UnsafeMutablePointer<Float>) throws {
    let run = context.tree.shards(of: context.group.rank)
    precondition(parts.count == run.count, "one part for each shard of this rank")
    var cursor = PairCursor(
      parts: parts, firstUser: UInt32(dataset.userStarts[run.lowerBound]))
    var chunks: [Int64] = [Int64(cursor.fillCount(pass.batch.capacity))]
    if context.group.size > 1 {
      unsafe try chunks.withUnsafeMutableBufferPointer { unsafe try context.group.maximum($0) }
    }
    var written = 0
    for _ in 0..<Int(chunks[0]) {
      cursor.fill(pass.batch)
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
  private var part = 0
  private var offset = 0

  init(parts: [Scorer.UserItemRows], firstUser: UInt32) {
    self.parts = parts
    self.firstUser = firstUser
  }

  /// How many batches of `capacity` rows the walk fills.
  func fillCount(_ capacity: Int) -> Int {
    var (fills, room) = (0, 0)
    for part in parts {
      var rest = unsafe part.users.count
      while rest > 0 {
        let taken = min(rest, capacity)
        if taken > room {
          fills += 1
          room = capacity
        }
        room -= taken
        rest -= taken
      }
    }
    return fills
  }

  /// Fills a batch with the next rows, users as rows of this rank's table: of each part the next
  /// whole cut, as long as it fits.
  mutating func fill(_ batch: StepBatch) {
    var end = 0
    for shard in parts.indices {
      var taken = 0
      if shard == part {
        let rest = unsafe parts[part].users.count - offset
        taken = min(rest, batch.capacity)
        if end + taken > batch.capacity { taken = 0 } else { copy(taken, to: batch, at: end) }
        offset += taken
        if taken == rest {
          part += 1
          offset = 0
        }
      }
      end += taken
      batch.close(shard: shard, at: end, labeled: taken)
    }
  }

  private func copy(_ count: Int, to batch: StepBatch, at start: Int) {
    let source = parts[part]
    let (users, items) = unsafe (batch.users.pointer + start, batch.items.pointer + start)
    for index in 0..<count {
      unsafe users[index] = unsafe source.users[offset &+ index] &- firstUser
      unsafe items[index] = unsafe source.items[offset &+ index]
    }
  }
}
