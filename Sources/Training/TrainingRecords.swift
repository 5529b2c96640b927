package import Evaluation
import Foundation

/// How often inverse gradient steps took each branch.
package struct DecisionCounts: Codable, Equatable, Sendable {
  package var direct = 0
  package var none = 0
  package var inverse = 0

  package init() {}

  mutating func count(_ decision: Decision?) {
    switch decision {
    case .direct: direct += 1
    case .none?: none += 1
    case .inverse: inverse += 1
    case nil: break
    }
  }
}

/// The figures of rankings as they stand in `metrics.jsonl` and `result.json`.
package struct ReportedRanking: Codable, Equatable, Sendable {
  /// `full`, `sampled` or `lists`.
  package var `protocol`: String
  /// Items that users could not get again; `nil` for listed candidates.
  package var mask: String?
  package var metrics: RankingMetrics
}

/// The figures of one split as they stand in `metrics.jsonl` and `result.json`.
package struct ReportedMetrics: Codable, Equatable, Sendable {
  package var auc: Double?
  package var gauc: Double?
  package var logLoss: Double?
  package var ndcgAt10: Double?
  package var mrr: Double?
  package var users: Int
  package var rows: Int
  /// Of rankings, if they were asked for.
  package var ranking: ReportedRanking?

  private enum CodingKeys: String, CodingKey {
    case auc, gauc, mrr, users, rows, ranking
    case logLoss = "log_loss"
    case ndcgAt10 = "ndcg@10"
  }

  package init(_ metrics: LabeledMetrics, ranking: ReportedRanking? = nil) {
    self.ranking = ranking
    auc = metrics.auc
    gauc = metrics.gauc
    logLoss = metrics.logLoss
    ndcgAt10 = metrics.ndcg[10]
    mrr = metrics.mrr
    users = metrics.users
    rows = metrics.rows
  }

  package func encode(to encoder: any Encoder) throws {
    // The synthesised encoding leaves out what is nil and fails on infinities.
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(auc, forKey: .auc)
    try container.encode(gauc, forKey: .gauc)
    try container.encode(logLoss.flatMap { $0.isFinite ? $0 : nil }, forKey: .logLoss)
    try container.encode(ndcgAt10, forKey: .ndcgAt10)
    try container.encode(mrr, forKey: .mrr)
    try container.encode(users, forKey: .users)
    try container.encode(rows, forKey: .rows)
    try container.encodeIfPresent(ranking, forKey: .ranking)
  }
}

/// One epoch: a line of `metrics.jsonl`.
package struct EpochRecord: Codable, Equatable, Sendable {
  /// From 1.
  package var epoch: Int
  /// Steps of the run after this epoch.
  package var step: Int
  /// Mean over labeled rows, or pairs, of their loss before each step.
  package var labeledLoss: Double?
  /// Mean over unlabeled rows; `nil` for methods without.
  package var unlabeledLoss: Double?
  package var decisions: DecisionCounts
  /// Steps of the epoch that were left out; `nil` for none.
  package var skippedSteps: Int?
  /// `nil` when the epoch was not evaluated or the dataset has no valid rows.
  package var valid: ReportedMetrics?
  /// `nil` unless it was asked for; decides nothing.
  package var test: ReportedMetrics?
  package var isBest: Bool
  /// Seconds since 1970 at the end of the epoch.
  package var time: Double
  /// Labeled rows per second of training, evaluation left out.
  package var rowsPerSecond: Double

  private enum CodingKeys: String, CodingKey {
    case epoch, step, decisions, valid, test, time
    case labeledLoss = "labeled_loss"
    case unlabeledLoss = "unlabeled_loss"
    case isBest = "is_best"
    case skippedSteps = "skipped_steps"
    case rowsPerSecond = "rows_per_second"
  }
}

/// What a run came to: `result.json`.
package struct TrainingResult: Codable, Equatable, Sendable {
  package var method: String
  package var backbone: String
  package var seed: UInt64
  package var ranks: Int
  package var bestEpoch: Int
  package var epochs: Int
  package var steps: Int
  package var rowsPerSecond: Double
  package var seconds: Double
  package var phases: PhaseSeconds
  package var valid: ReportedMetrics
  package var test: ReportedMetrics
  package var decisions: DecisionCounts
  /// Steps of the run that were left out; `nil` for none.
  package var skippedSteps: Int?
  package var modelSHA256: String
  package var datasetFingerprint: String
  package var version: String

  private enum CodingKeys: String, CodingKey {
    case method, backbone, seed, ranks, epochs, steps, seconds, phases, valid, test, decisions
    case version
    case bestEpoch = "best_epoch"
    case rowsPerSecond = "rows_per_second"
    case skippedSteps = "skipped_steps"
    case modelSHA256 = "model_sha256"
    case datasetFingerprint = "dataset_fingerprint"
  }
}

/// Where a run stands: `state.json` of a checkpoint. Together with the tensors it is all a resumed
/// run needs, on any number of ranks.
package struct TrainingState: Codable, Equatable, Sendable {
  package static let currentVersion = 1

  package var version = TrainingState.currentVersion
  /// The epoch to go on with, from 0.
  package var epoch = 0
  /// The step of that epoch to go on with.
  package var step = 0
  /// Steps done in the whole run.
  package var number = 0
  /// Sums over the steps done of the current epoch.
  package var labeledLoss = 0.0
  /// Terms of the labeled loss: labeled rows, or pairs.
  package var labeledRows = 0
  package var unlabeledLoss = 0.0
  package var unlabeledRows = 0
  package var epochDecisions = DecisionCounts()
  /// Over the whole run.
  package var decisions = DecisionCounts()
  /// Steps that were left out because a number was not finite: of the whole run, of the current
  /// epoch, and in a row up to now; `nil` for none.
  package var skippedSteps: Int?
  package var epochSkippedSteps: Int?
  package var skippedInARow: Int?
  /// Of the whole run, evaluation left out.
  package var seconds = 0.0
  /// Of rank 0 over the whole run.
  package var phases = PhaseSeconds()
  package var rowsDone = 0
  package var best: BestEpoch
  /// Whether the patience is spent.
  package var isFinished = false
  package var history: [EpochRecord] = []
  package var configuration: TrainingConfiguration
  package var datasetFingerprint: String

  /// The start of a run.
  ///
  /// - Parameters:
  ///   - configuration: Of the run.
  ///   - datasetFingerprint: Of the dataset.
  ///   - hasValid: Whether the dataset has rows of valid: without, there is nothing to lose patience
  ///     over.
  package init(
    _ configuration: TrainingConfiguration, datasetFingerprint: String, hasValid: Bool = true
  ) {
    self.configuration = configuration
    self.datasetFingerprint = datasetFingerprint
    best = BestEpoch(
      criterion: configuration.select,
      patience: configuration.patience == 0 || !hasValid ? nil : configuration.patience)
  }

  /// Adds up what a step did.
  package mutating func record(_ record: StepRecord) {
    if record.isSkipped {
      skippedSteps = (skippedSteps ?? 0) + 1
      epochSkippedSteps = (epochSkippedSteps ?? 0) + 1
      skippedInARow = (skippedInARow ?? 0) + 1
    } else {
      skippedInARow = nil
    }
    labeledLoss += record.labeledLoss
    labeledRows += record.lossTerms
    unlabeledLoss += record.unlabeledLoss
    unlabeledRows += record.unlabeledRows
    epochDecisions.count(record.decision)
    decisions.count(record.decision)
    rowsDone += record.labeledRows
    step += 1
    number += 1
  }

  /// Starts the sums of the next epoch.
  package mutating func beginNextEpoch() {
    epoch += 1
    step = 0
    labeledLoss = 0
    labeledRows = 0
    unlabeledLoss = 0
    unlabeledRows = 0
    epochDecisions = DecisionCounts()
    epochSkippedSteps = nil
  }

  package var rowsPerSecond: Double { seconds > 0 ? Double(rowsDone) / seconds : 0 }
}
