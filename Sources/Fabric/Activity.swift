/// What a rank is busy with, for messages about it: the phases of a run, and what lies around them.
package enum Activity: Int, CaseIterable, Sendable {
  /// Before it has said anything.
  case start
  /// Opening and reading the dataset, an older checkpoint or a model.
  case read
  /// Finding the rows of a step.
  case sample
  /// Rows between ranks.
  case exchange
  case forward
  case backward
  /// Gradients to their owners, sums over ranks.
  case reduce
  case update
  case evaluate
  /// Writing a checkpoint, or reading the best one.
  case checkpoint
  /// In the middle of a checkpoint, when a tensor file is written and its manifest is not.
  case write
  /// The work is done; results are written.
  case finish

  package var name: String { "\(self)" }
}
