package import Storage

/// What becomes of labeled training rows that thinning takes away.
package enum ThinnedRows: String, Codable, Sendable {
  /// They leave the dataset.
  case drop
  /// They stay as exposures without reaction.
  case exposure
}

/// Where the rows come from and what a dataset is made to look like.
package struct PreparationOptions: Sendable {
  /// The logs.
  package enum Source: Sendable, Equatable {
    /// Logs that are split already. Only `train` may hold exposures without reaction. Without
    /// `valid` nothing chooses an epoch.
    case split(train: String, valid: String?, test: String)
    /// One log. Its labeled (user, item) pairs are split by a keyed hash of their external ids, so
    /// that a repeated pair never lands in two splits; all its exposures without reaction go to
    /// train, except those of pairs that a labeled row puts into valid or test.
    ///
    /// `fractions` are the shares of train, valid and test: positive, with sum 1.
    case whole(interactions: String, fractions: [Double])
    /// One log. Of each user with at least three labeled rows the latest goes to test and the one
    /// before to valid, see ``LatestRows``; all others go to train, except rows of a pair that is
    /// held out. Time is the timestamp, or else the order of the file.
    case leaveOneOut(interactions: String)
  }

  package var source: Source
  package var format = LogFormat.log
  package var unrated = UnratedRows.exposure
  /// Whether the dataset keeps the order of each user's positive training rows in time.
  package var keepsSequences = false
  /// Whether a pair may be in valid and in test.
  package var allowsOverlap = false
  /// A row is positive when its rating is at least this.
  package var positiveFrom: Double
  /// The share of labeled training rows that keep their label, in (0, 1].
  package var labelFraction: Double
  package var thinned: ThinnedRows
  /// A power of two in 1 ... 4096.
  package var shards: Int
  package var seed: UInt64

  package init(
    source: Source, positiveFrom: Double = 3, labelFraction: Double = 1,
    thinned: ThinnedRows = .drop, shards: Int = 16, seed: UInt64 = 0
  ) {
    self.source = source
    self.positiveFrom = positiveFrom
    self.labelFraction = labelFraction
    self.thinned = thinned
    self.shards = shards
    self.seed = seed
  }

  /// Whether rows must be ordered in time.
  var needsTimes: Bool {
    if case .leaveOneOut = source { return true }
    return keepsSequences
  }

  /// Whether the dataset has rows of valid.
  var hasValid: Bool {
    if case .split(_, nil, _) = source { return false }
    return true
  }

  /// The largest number of shards of a dataset.
  package static let maximumShards = 4096

  /// Refuses what cannot be done before anything is read.
  ///
  /// - Throws: `Failure` of kind usage.
  package func validate() throws(Failure) {
    guard (1...Self.maximumShards).contains(shards), shards & (shards - 1) == 0 else {
      throw .usage(
        "shards must be a power of two from 1 to \(Self.maximumShards), but is \(shards)")
    }
    guard positiveFrom.isFinite else {
      throw .usage("the rating from which a row is positive must be finite, but is \(positiveFrom)")
    }
    guard labelFraction > 0, labelFraction <= 1 else {
      throw .usage("the label fraction must be above 0 and at most 1, but is \(labelFraction)")
    }
    if case .whole(_, let fractions) = source {
      let isValid =
        fractions.count == 3 && fractions.allSatisfy { $0 > 0 && $0.isFinite }
        && abs(fractions.reduce(0, +) - 1) <= 1e-9
      guard isValid else {
        let given = fractions.map { "\($0)" }.joined(separator: ",")
        throw .usage(
          "the split must be three positive fractions with sum 1 (train,valid,test), but is "
            + (given.isEmpty ? "empty" : given))
      }
    }
  }
}
