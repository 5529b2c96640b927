/// What preparation found and made; for people, and for checks of a log's health.
package struct PreparationReport: Equatable, Sendable {
  /// One split of the rows with labels.
  package struct Split: Equatable, Sendable {
    package var rows = 0
    package var positives = 0
    /// Distinct users and items of this split that have no training row at all: they keep their
    /// initial rows. Always 0 for train.
    package var usersUnknownToTrain = 0
    package var itemsUnknownToTrain = 0

    package init(rows: Int = 0, positives: Int = 0) {
      self.rows = rows
      self.positives = positives
    }
  }

  package var users = 0
  package var items = 0
  package var shards = 0
  package var train = Split()
  package var valid = Split()
  package var test = Split()
  /// Training rows without a label.
  package var exposures = 0
  /// Labeled training rows that thinning dropped or turned into exposures.
  package var thinned = 0
  /// Exposures of pairs that a labeled row put into valid or test; they leave the dataset.
  package var withheldExposures = 0
  /// Labeled training rows of pairs that leave-one-out holds out; they leave the dataset.
  package var withheldLabels = 0
  /// Rows of test whose pair is also in valid.
  package var overlappingRows = 0
  /// Distinct (user, item) pairs with more than one training row. All their rows are kept.
  package var repeatedPairs = 0
  /// Repeated pairs with both labels.
  package var conflictingPairs = 0
  /// Training rows (labeled and exposures) of the fullest shard, over the mean of all shards.
  package var imbalance = 1.0
  /// The identity of the dataset.
  package var fingerprint = ""

  package init() {}
}
