package import Backbones

/// Which rows of a step a batch holds.
package enum StepRows: Sendable {
  /// The labeled rows.
  case labeled
  /// Unlabeled rows of the labeled rows' users.
  case unlabeled
  /// For each shard its labeled rows, then its unlabeled ones.
  case joint
  /// As `joint`, of the positive labeled rows alone, and only those with an unlabeled row; each
  /// unlabeled row knows the labeled row it was drawn for.
  case pairs
}

/// Where an update rule finds the rows of its steps: in a run, the shards of a dataset.
package protocol RowSource: AnyObject {
  /// The most rows a batch of this kind can have on this rank.
  func capacity(_ rows: StepRows) -> Int

  /// The most sequences of a batch on this rank, for a backbone that reads them.
  var sequences: SequenceCapacity? { get }

  /// Goes to an epoch; a collective the first time it is asked for.
  ///
  /// - Throws: What the group throws.
  func begin(epoch: Int) throws

  /// Labeled rows of a step of the epoch that has begun, over all shards of the job.
  func labeledRows(in step: Int) -> Int

  /// Unlabeled rows of a batch over all ranks, not one of pairs; a collective.
  ///
  /// - Throws: What the group throws.
  func totalUnlabeled(of batch: StepBatch, in step: Int) throws -> Int

  /// Fills `batch` with the rows of a step, and closes each of its shards.
  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows)
}

extension RowSource {
  package var sequences: SequenceCapacity? { nil }
  package func begin(epoch: Int) {}
}

/// The rows of a run: a source that knows how long an epoch is.
protocol EpochSource: RowSource {
  /// `T`, steps of an epoch.
  var stepCount: Int { get }
  /// Labeled rows of an epoch over all shards.
  var rowCount: Int { get }
}

extension BatchLoader: EpochSource {}
