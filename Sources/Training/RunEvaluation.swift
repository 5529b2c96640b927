import Checkpoints
package import Evaluation
package import Fabric
import Interactions
import Kernels
import Sharding
import Storage

/// The best model of a run, ready to score rows on any number of ranks.
@safe
package final class RunEvaluation {
  package let setup: RunDirectory.Setup
  /// SHA-256 of the model file.
  package let modelSHA256: String
  private let dataset: Dataset
  private let context: JobContext
  private let model: Model
  private let scorer: Scorer

  /// Opens the best model of a run.
  ///
  /// - Parameters:
  ///   - run: A run with at least one finished epoch.
  ///   - datasetPath: Where the dataset is now; `nil` for where it was.
  ///   - group: The ranks.
  ///   - warn: Called on rank 0 with lines about damaged files.
  /// - Throws: `Failure`: data for something that is not a run, has no best model yet, or was
  ///   trained on other data, `inputOutput`; what the group throws.
  package init(
    _ run: RunDirectory, dataset datasetPath: String?, group: any ProcessGroup,
    warn: (String) -> Void
  ) throws {
    setup = try run.setup()
    dataset = try Dataset.open(datasetPath ?? setup.dataset)
    guard dataset.fingerprint == setup.datasetFingerprint else {
      throw Failure.data(
        "\(dataset.directory) is not the dataset that \(run.path) was trained on; "
          + "name that one with --dataset")
    }
    try requireRanks(group.size, atMost: dataset)
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: group.size)
    // Scoring needs no state of an optimizer.
    var configuration = setup.training
    configuration.optimizer = .sgd
    context = JobContext(group: group, tree: tree, configuration: configuration)
    // Moments are not read.
    model = try Model(
      configuration, dataset: dataset, context: context, placement: .apart)
    scorer = Scorer(model: model, dataset: dataset, context: context)
    guard
      let best = try CheckpointStore(directory: run.checkpointsPath).openBest(
        group: group, warn: warn)
    else {
      throw Failure.data("\(run.path) has no best model: no epoch is finished, or it is damaged")
    }
    modelSHA256 = best.modelSHA256
    try model.readParameters(from: best.model)
    try NonfiniteSearch(model: model, dataset: dataset, group: group)
      .requireFiniteModel("\(best.path)/\(best.modelName)")
  }

  /// The metrics of a split, the same for every number of ranks.
  ///
  /// - Throws: `Failure`; what the group throws.
  package func metrics(
    of split: EvaluationSplit, cutoffs: [Int]
  ) throws -> LabeledMetrics {
    try scorer.evaluate(split, cutoffs: cutoffs)
  }

  /// The metrics of rankings of all items for the users of a split, the same for every number of
  /// ranks.
  ///
  /// - Parameters:
  ///   - split: Its positive rows are relevant.
  ///   - cutoffs: The k of the metrics.
  ///   - mask: Items that users must not get again.
  ///   - maskedPositives: What becomes of positive rows that the mask hides.
  /// - Returns: The metrics over all ranks.
  /// - Throws: As ``FullRanker/evaluate(_:cutoffs:mask:maskedPositives:)``.
  package func ranking(
    of split: EvaluationSplit, cutoffs: [Int], mask: RankingMask,
    maskedPositives: MaskedPositives = .dropped
  ) throws -> RankingMetrics {
    try FullRanker(model: model, dataset: dataset, context: context)
      .evaluate(split, cutoffs: cutoffs, mask: mask, maskedPositives: maskedPositives)
  }

  /// The metrics of every relevant item of a split among drawn candidates, the same for every number
  /// of ranks.
  ///
  /// - Parameters:
  ///   - split: Its positive rows are relevant.
  ///   - cutoffs: The k of the metrics.
  ///   - mask: Items that are neither relevant nor candidates.
  ///   - sampling: How candidates are drawn.
  /// - Returns: The metrics over all ranks.
  /// - Throws: As ``CandidateRanker/evaluate(_:cutoffs:mask:sampling:)``.
  package func ranking(
    of split: EvaluationSplit, cutoffs: [Int], mask: RankingMask, sampling: CandidateSampling
  ) throws -> RankingMetrics {
    try candidateRanker.evaluate(split, cutoffs: cutoffs, mask: mask, sampling: sampling)
  }

  /// The metrics of the cases of a file of candidate lists, the same for every number of ranks.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - cutoffs: The k of the metrics.
  /// - Returns: The metrics over all ranks.
  /// - Throws: As ``ListedCases/read(_:dataset:context:)`` and
  ///   ``CandidateRanker/evaluate(_:cutoffs:)``.
  package func ranking(ofLists path: String, cutoffs: [Int]) throws -> RankingMetrics {
    try candidateRanker.evaluate(
      try ListedCases.read(path, dataset: dataset, context: context), cutoffs: cutoffs)
  }

  private var candidateRanker: CandidateRanker {
    CandidateRanker(scorer: scorer, dataset: dataset, context: context)
  }

  /// How well the model labels unlabeled pairs, against a log that knows their labels.
  ///
  /// - Parameter path: Rows of user, item and label; a rating of at least ½ is positive.
  /// - Returns: The same on every rank, for every number of ranks.
  /// - Throws: `Failure`: data naming file and line for ids the dataset does not know.
  package func annotation(against path: String) throws -> AnnotationMetrics {
    let shards = context.tree.shards(of: context.group.rank)
    let own = dataset.userStarts[shards.lowerBound]..<dataset.userStarts[shards.upperBound]
    let (userIds, itemIds) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let reader = try LogReader(path: path)
    var pairs = shards.map { _ in TruePairs() }
    // The place in `pairs` of each user of this rank.
    let places = shards.indices.flatMap {
      [Int](
        repeating: $0 - shards.lowerBound, count: dataset.userRange(ofShard: $0).count)
    }
    while try reader.next() {
      guard let user = unsafe userIds.index(of: String(decoding: reader.user, as: UTF8.self)),
        let item = unsafe itemIds.index(of: String(decoding: reader.item, as: UTF8.self))
      else {
        throw Failure.data(
          "\(path):\(reader.line): the dataset knows this user or this item not; "
            + "truth must be about its pairs")
      }
      guard let rating = reader.rating else {
        throw Failure.data("\(path):\(reader.line): a row of truth needs a label, 0 or 1")
      }
      guard own.contains(user) else { continue }
      pairs[places[user - own.lowerBound]].append(user, item, rating >= 0.5 ? 1 : 0)
    }
    let users = pairs.flatMap(\.users)
    let items = pairs.flatMap(\.items)
    let labels = pairs.flatMap(\.labels)
    let scores = AlignedBuffer<Float>(count: users.count)
    return unsafe try users.withUnsafeBufferPointer { users in
      unsafe try items.withUnsafeBufferPointer { items in
        unsafe try labels.withUnsafeBufferPointer { labels in
          var start = 0
          let parts = pairs.map { pairs in
            let rows = start..<start + pairs.users.count
            start = rows.upperBound
            return unsafe Scorer.UserItemRows(
              users: UnsafeBufferPointer(rebasing: users[rows]),
              items: UnsafeBufferPointer(rebasing: items[rows]))
          }
          unsafe try scorer.score(parts, into: scores.pointer)
          return try withExtendedLifetime(scores) {
            unsafe try AnnotationMetrics.evaluate(
              [
                ScoredShard(
                  shard: shards.lowerBound, users: users, labels: labels,
                  scores: UnsafeBufferPointer(scores.elements))
              ], group: context.group)
          }
        }
      }
    }
  }
}

/// Pairs of one shard's users with their true labels.
private struct TruePairs {
  var users: [UInt32] = []
  var items: [UInt32] = []
  var labels: [UInt8] = []

  mutating func append(_ user: Int, _ item: Int, _ label: UInt8) {
    users.append(UInt32(user))
    items.append(UInt32(item))
    labels.append(label)
  }
}
