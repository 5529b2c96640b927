package import Evaluation
import Fabric
package import Interactions
import Sharding
package import Storage

/// Ranks single relevant items among candidates with a model, and turns ranks into metrics.
///
/// A collective throughout. Pairs are scored where their users are, in blocks that are cut inside a
/// shard, so that neither scores nor memory depend on the number of ranks.
@safe
package final class CandidateRanker {
  /// Pairs of all shards together that are scored at a time, on average.
  private static let blockPairs = 1 << 20

  private let scorer: Scorer
  private let dataset: Dataset
  private let context: JobContext

  /// - Parameters:
  ///   - scorer: Of the model; its parameters at the time of a call count.
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  package init(scorer: Scorer, dataset: Dataset, context: JobContext) {
    self.scorer = scorer
    self.dataset = dataset
    self.context = context
  }

  /// The metrics of every relevant item of a split among drawn candidates, the same on every rank
  /// and for every number of ranks.
  ///
  /// - Parameters:
  ///   - split: Its positive rows are relevant.
  ///   - cutoffs: The k of the metrics.
  ///   - mask: Items that are neither relevant nor candidates.
  ///   - sampling: How candidates are drawn.
  /// - Returns: The metrics over all ranks.
  /// - Throws: `Failure`: usage when the dataset has too few items or the mask hides the split,
  ///   software when a score is not a number; what the group throws.
  /// - Complexity: O(cases · candidates / P) scores; with sharded tables each item row of a
  ///   microbatch is fetched once.
  package func evaluate(
    _ split: EvaluationSplit, cutoffs: [Int], mask: RankingMask, sampling: CandidateSampling
  ) throws -> RankingMetrics {
    try requireJudgeable(split, mask)
    try requireItems(for: sampling)
    let shards = try context.tree.shards(of: context.group.rank).map { try dataset.shard($0) }
    return try rank(
      shards.map { shard in
        SampledCases(
          RankingShard(
            shard, judgedBy: split == .valid ? shard.valid : shard.test, mask: mask),
          itemCount: dataset.items, sampling: sampling)
      }, split, cutoffs)
  }

  /// Refuses more candidates than the dataset has.
  ///
  /// - Throws: `Failure` of kind usage.
  package func requireItems(for sampling: CandidateSampling) throws(Failure) {
    guard sampling.count < dataset.items else {
      throw .usage(
        "\(sampling.count) candidates beside the relevant item, but \(dataset.directory) has "
          + "\(dataset.items) items; ask for fewer")
    }
  }

  /// The metrics of cases whose candidates are given, the same on every rank and for every number
  /// of ranks.
  ///
  /// A model of sequences reads what users liked before test.
  ///
  /// - Parameters:
  ///   - lists: For each shard of this rank, in order, cases of its users.
  ///   - cutoffs: The k of the metrics.
  /// - Returns: The metrics over all ranks.
  /// - Throws: `Failure`: software when a score is not a number; what the group throws.
  package func evaluate(_ lists: [ListedCases], cutoffs: [Int]) throws -> RankingMetrics {
    try rank(lists, .test, cutoffs)
  }

  private func rank<Cases: CandidateCases>(
    _ shards: [Cases], _ split: EvaluationSplit, _ cutoffs: [Int]
  ) throws -> RankingMetrics {
    precondition(
      shards.count == context.tree.shards(of: context.group.rank).count,
      "cases of each shard of this rank")
    var (cases, block, unrankable) = (shards, CandidateBlock(), UInt32?.none)
    var sums = cases.map { cases in
      var sums = RankingSums(cutoffs: cutoffs)
      sums.add(users: cases.userCount)
      return sums
    }
    let scores = ScratchBuffer<Float>()
    let limit = Self.blockPairs / context.tree.shardCount
    while true {
      block.removeAll()
      for shard in cases.indices {
        while block.shardPairs < limit, cases[shard].next(into: &block) {}
        block.closeShard()
      }
      guard try hasAny(block.items.count) else { break }
      let target = unsafe scores.reserve(block.items.count)
      unsafe try score(block, split, into: target)
      let defect = unsafe block.addFigures(
        UnsafeBufferPointer(start: target, count: block.items.count), to: &sums)
      unrankable = unrankable ?? defect
    }
    withExtendedLifetime(scores) {}
    try context.refuse(unrankable: unrankable, of: dataset)
    return try CandidateRanking.metrics(
      sums, cutoffs: cutoffs, tree: context.tree, group: context.group)
  }

  private func score(
    _ block: CandidateBlock, _ split: EvaluationSplit, into scores: UnsafeMutablePointer<Float>
  ) throws {
    unsafe try block.users.withUnsafeBufferPointer { users in
      unsafe try block.items.withUnsafeBufferPointer { items in
        unsafe try scorer.score(
          block.shardRanges.map { pairs in
            unsafe Scorer.UserItemRows(
              users: UnsafeBufferPointer(rebasing: users[pairs]),
              items: UnsafeBufferPointer(rebasing: items[pairs]))
          }, for: split, into: scores)
      }
    }
  }

  /// Whether some rank still has pairs.
  private func hasAny(_ count: Int) throws -> Bool {
    var counts = [Int64(count)]
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try context.group.maximum($0) }
    return counts[0] > 0
  }
}

/// Refuses a mask that hides what a split is judged by.
///
/// - Throws: `Failure` of kind usage.
func requireJudgeable(_ split: EvaluationSplit, _ mask: RankingMask) throws(Failure) {
  guard split != .valid || mask != .trainAndValid else {
    throw .usage("the mask train,valid hides the rows that valid is judged by; use --mask train")
  }
}

extension JobContext {
  /// Ends an evaluation on all ranks alike when some rank has a user with a score that is not a
  /// number.
  ///
  /// - Parameters:
  ///   - unrankable: The first such user of this rank.
  ///   - dataset: Knows the user's external id.
  ///   - what: What a score must be.
  /// - Throws: `Failure` of kind software; what the group throws.
  func refuse(unrankable: UInt32?, of dataset: Dataset, what: String = "a number") throws {
    // The smallest user is the largest code, and no user is 0.
    var codes: [Int64] = [unrankable.map { Int64(UInt32.max) + 1 - Int64($0) } ?? 0]
    unsafe try codes.withUnsafeMutableBufferPointer { unsafe try group.maximum($0) }
    guard codes[0] > 0 else { return }
    let user = Int(Int64(UInt32.max) + 1 - codes[0])
    let name = try dataset.userIdentifiers().externalIdentifier(of: user)
    throw Failure.software(
      "a score of user '\(name)' is not \(what); the model has diverged: train it with a smaller "
        + "--rate")
  }
}
