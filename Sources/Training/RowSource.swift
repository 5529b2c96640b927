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

  /// Labeled rows of a step over all shards of the job.
  func labeledRows(in step: Int) -> Int

  /// Unlabeled rows of a batch over all ranks, not one of pairs; a collective.
  ///
  /// - Throws: What the group throws.
  func totalUnlabeled(of batch: StepBatch, in step: Int) throws -> Int

  /// Fills `batch` with the rows of a step, and closes each of its shards.
  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows)
}
