package import Storage

/// The size and the seed of a simulated feed.
package struct SynthesisOptions: Codable, Equatable, Sendable {
  package var users: Int
  package var items: Int
  /// Exposures in all, each of another (user, item) pair.
  package var interactions: Int
  /// The share of exposures with an explicit reaction, in (0, 1].
  package var labelFraction: Double
  /// The probability that a reaction in train is the opposite of the truth, in [0, 0.5).
  package var noise: Double
  package var seed: UInt64

  package init(
    users: Int, items: Int, interactions: Int, labelFraction: Double, noise: Double,
    seed: UInt64 = 0
  ) {
    self.users = users
    self.items = items
    self.interactions = interactions
    self.labelFraction = labelFraction
    self.noise = noise
    self.seed = seed
  }

  /// Prepared and trained within seconds.
  package static let quick = SynthesisOptions(
    users: 2_000, items: 1_000, interactions: 200_000, labelFraction: 0.1, noise: 0.05)
  /// The shape of a feed: many exposures, few reactions.
  package static let feed = SynthesisOptions(
    users: 50_000, items: 20_000, interactions: 5_000_000, labelFraction: 0.02, noise: 0.05)

  /// Refuses what cannot be generated.
  ///
  /// - Throws: `Failure` of kind usage.
  package func validate() throws(Failure) {
    let most = 1 << 31 - 1
    guard (1..<most).contains(users), (2..<most).contains(items) else {
      throw .usage("a feed needs at least 1 user and 2 items, below 2^31 each")
    }
    guard interactions >= users, interactions <= users * (items / 2) else {
      throw .usage(
        "interactions must be from 1 per user, \(users), to half the items per user, "
          + "\(users * (items / 2)), but are \(interactions)")
    }
    guard labelFraction > 0, labelFraction <= 1 else {
      throw .usage("the label fraction must be above 0 and at most 1, but is \(labelFraction)")
    }
    guard noise >= 0, noise < 0.5 else {
      throw .usage("the noise must be at least 0 and below 0.5, but is \(noise)")
    }
  }
}

/// What a generated feed holds.
package struct SynthesisReport: Codable, Equatable, Sendable {
  /// Labeled rows and exposures without reaction in `train.tsv`.
  package var trainRows = 0
  package var exposureRows = 0
  package var validRows = 0
  package var testRows = 0
  /// Pairs, of all, whose truth is 1.
  package var positivePairs = 0

  package init() {}
}
