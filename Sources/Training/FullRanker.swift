import Backbones
package import Evaluation
import Fabric
package import Interactions
import Kernels
import Sharding

/// Ranks all items for the users of this rank with a model, and turns rankings into metrics.
///
/// A collective throughout. Every rank holds the vectors of all items while it ranks, sharded or
/// not: `4 · K` bytes for each, gathered once. Users are ranked where they are. A model of sequences
/// makes the vectors of users of what they liked before the split. A backbone whose
/// scores are no products of vectors is asked for the scores of pairs instead; see ``PairScores``.
@safe
package final class FullRanker {
  private let model: Model
  private let dataset: Dataset
  private let context: JobContext
  private let masked = ScratchBuffer<UInt32>()
  private let maskedStarts = AlignedBuffer<Int>(count: TopKRanking.blockUsers + 1)
  private let userRows = AlignedBuffer<UInt32>(count: TopKRanking.blockUsers)

  /// - Parameters:
  ///   - model: The parameters; those at the time of a call count.
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  package init(model: Model, dataset: Dataset, context: JobContext) {
    self.model = model
    self.dataset = dataset
    self.context = context
  }

  /// The metrics of rankings of all items, the same on every rank and for every number of ranks.
  ///
  /// - Parameters:
  ///   - split: Its positive rows are relevant.
  ///   - cutoffs: The k of the metrics.
  ///   - mask: Items that users must not get again.
  ///   - maskedPositives: What becomes of positive rows that the mask hides.
  /// - Returns: The metrics over all ranks.
  /// - Throws: `Failure`: usage when the mask hides the split itself, software when a score is not
  ///   a number; what the group throws.
  /// - Complexity: O(U · I · K / P) time for U users with relevant items and I items, at most twice
  ///   that, or as many forward passes of a pair; with sharded tables each rank contributes `4 · K`
  ///   bytes for each item row it owns.
  package func evaluate(
    _ split: EvaluationSplit, cutoffs: [Int], mask: RankingMask,
    maskedPositives: MaskedPositives = .dropped
  ) throws -> RankingMetrics {
    try requireJudgeable(split, mask)
    let run = context.tree.shards(of: context.group.rank)
    let shards = try run.map { try dataset.shard($0) }
    let (source, ranking) = try makeRanking(limit: cutoffs.max() ?? 1, split)
    var (sums, unrankable): ([RankingSums], UInt32?) = ([], nil)
    for shard in shards {
      let users = RankingShard(
        shard, judgedBy: split == .valid ? shard.valid : shard.test, mask: mask,
        maskedPositives: maskedPositives)
      var shardSums = RankingSums(cutoffs: cutoffs)
      for start in stride(from: 0, to: users.users.count, by: TopKRanking.blockUsers) {
        let block = start..<min(start + TopKRanking.blockUsers, users.users.count)
        let defect = try rank(
          block, of: users, shard: shard, source, ranking, into: &shardSums)
        unrankable = unrankable ?? defect
      }
      sums.append(shardSums)
    }
    try context.refuse(unrankable: unrankable, of: dataset)
    return try FullRanking.metrics(
      sums, cutoffs: cutoffs, tree: context.tree, group: context.group)
  }

  /// Ranks a block of users of a shard and adds what comes of it; returns the first user with a
  /// score that is not a number.
  private func rank(
    _ block: Range<Int>, of users: RankingShard, shard: Shard, _ source: ScoreSource,
    _ ranking: TopKRanking, into sums: inout RankingSums
  ) throws -> UInt32? {
    for (row, place) in block.enumerated() {
      unsafe userRows.pointer[row] = users.users[place] - UInt32(model.firstUser)
    }
    let excluded = gatherMasked(block, of: users)
    return unsafe try users.relevantStarts.withUnsafeBufferPointer { starts in
      unsafe try users.relevant.withUnsafeBufferPointer { relevant in
        guard let allStarts = starts.baseAddress, let items = relevant.baseAddress else {
          return nil
        }
        let targets = unsafe TopKRanking.Lists(starts: allStarts + block.lowerBound, items: items)
        let defect = try rank(
          count: block.count, shard: shard, source, ranking, excluding: excluded, targets: targets)
        if let defect { return users.users[block.lowerBound + defect] }
        for (row, place) in block.enumerated() {
          unsafe sums.add(
            ranked: UnsafeBufferPointer(
              start: ranking.best.pointer + row * ranking.limit,
              count: ranking.bestCounts.pointer[row]),
            relevant: UnsafeBufferPointer(
              rebasing: relevant[starts[place]..<starts[place + 1]]), missed: users.missed[place],
            firstRank: ranking.firstRanks.pointer[row])
        }
        return nil
      }
    }
  }

  /// Ranks the items of the users in ``userRows``.
  private func rank(
    count: Int, shard: Shard, _ source: ScoreSource, _ ranking: TopKRanking,
    excluding excluded: TopKRanking.Lists, targets: TopKRanking.Lists
  ) throws -> Int? {
    switch source {
    case .products(let backbone):
      unsafe backbone.writeUserVectors(
        into: ranking.users.pointer, rows: userRows.pointer, count: count,
        of: model.scoredUsers, dense: model.dense.row(0))
      return ranking.rank(count: count, excluding: excluded, targets: targets)
    case .sequences(let vectors):
      unsafe vectors.write(
        userRows.pointer, count: count, shard: shard, into: ranking.users.pointer)
      return ranking.rank(count: count, excluding: excluded, targets: targets)
    case .pairs(let pairs):
      return try ranking.rank(count: count, excluding: excluded, targets: targets) { items in
        unsafe try pairs.write(
          userRows.pointer, count: count, shard: shard.index, items: items,
          into: ranking.tile.pointer)
      }
    }
  }

  /// Where scores come from.
  private enum ScoreSource {
    case products(any FactorizedScoring)
    case sequences(SequenceVectors)
    case pairs(PairScores)
  }

  private func makeRanking(
    limit: Int, _ split: EvaluationSplit
  ) throws -> (ScoreSource, TopKRanking) {
    if let backbone = model.backbone as? any SequenceBackbone {
      let vectors = try SequenceVectors(backbone, model: model, split: split, context: context)
      return (
        .sequences(vectors),
        TopKRanking(
          items: vectors.itemRows, itemCount: model.itemCount, width: model.items.stride,
          limit: limit)
      )
    }
    guard let backbone = model.backbone as? any FactorizedScoring else {
      return (
        .pairs(try PairScores(model: model, context: context)),
        TopKRanking(itemCount: model.itemCount, limit: limit)
      )
    }
    return (
      .products(backbone),
      TopKRanking(
        items: try itemVectors(backbone), itemCount: model.itemCount,
        width: backbone.vectorWidth, limit: limit)
    )
  }

  /// The masked items of a block of users; valid until the next call.
  private func gatherMasked(_ block: Range<Int>, of users: RankingShard) -> TopKRanking.Lists {
    let items = unsafe masked.reserve(
      block.reduce(0) { $0 + users.maskedBound(of: users.users[$1]) })
    var end = 0
    for (row, place) in block.enumerated() {
      unsafe maskedStarts.pointer[row] = end
      unsafe end += users.writeMasked(of: users.users[place], into: items + end)
    }
    unsafe maskedStarts.pointer[block.count] = end
    return unsafe TopKRanking.Lists(starts: maskedStarts.pointer, items: items)
  }

  /// The vectors of all items, on every rank.
  private func itemVectors(_ backbone: any FactorizedScoring) throws -> AlignedBuffer<Float> {
    let width = backbone.vectorWidth
    let all = AlignedBuffer<Float>(count: model.itemCount * width)
    try model.sharedItems?.settle()
    try model.propagate(dropout: nil)
    guard context.isSharded, model.sharedItems == nil, model.propagation == nil else {
      unsafe try backbone.writeItemVectors(
        into: all.pointer, rows: 0..<model.itemCount, of: model.scoredItems,
        dense: model.dense.row(0))
      return all
    }
    let parts = Partition(
      counts: (0..<context.group.size).map { model.itemOwnership.rows(of: $0).count * width * 4 })
    let owned = model.itemOwnership.rows(of: context.group.rank)
    let own = AlignedBuffer<Float>(count: owned.count * width)
    unsafe try backbone.writeItemVectors(
      into: own.pointer, rows: owned, of: model.items, dense: model.dense.row(0))
    unsafe try context.group.gather(
      UnsafeRawBufferPointer(own.elements), into: UnsafeMutableRawBufferPointer(all.elements),
      parts)
    withExtendedLifetime(own) {}
    return all
  }
}
