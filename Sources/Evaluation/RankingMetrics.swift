/// How well a model ranks all items for users, one figure per cut-off `k`.
///
/// Means over the users with relevant items. For one user with `n` relevant items, `h(r)` of them
/// among the first `r` ranks, and `d(r) = 1 / log₂(r + 1)`:
///
///     recall@k = h(k) / n        precision@k = h(k) / k        hit rate@k = 1 if h(k) > 0, else 0
///     NDCG@k = Σ_{relevant r ≤ k} d(r) / Σ_{r ≤ min(k, n)} d(r)
///     AP@k = Σ_{relevant r ≤ k} h(r) / r / min(k, n)           MAP@k is its mean
///     RR = 1 / rank of the first relevant item, however far down     MRR is its mean
///
/// Järvelin and Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, TOIS 2002; Voorhees,
/// *The TREC-8 question answering track report*, 1999.
package struct RankingMetrics: Equatable, Sendable {
  /// The figures of one cut-off.
  package struct Figures: Equatable, Sendable {
    package var recall: Double
    package var ndcg: Double
    package var hitRate: Double
    package var precision: Double
    /// MAP.
    package var averagePrecision: Double

    package init(
      recall: Double, ndcg: Double, hitRate: Double, precision: Double, averagePrecision: Double
    ) {
      self.recall = recall
      self.ndcg = ndcg
      self.hitRate = hitRate
      self.precision = precision
      self.averagePrecision = averagePrecision
    }
  }

  /// By cut-off; empty without `users`.
  package var figures: [Int: Figures]
  /// The mean reciprocal rank; `nil` without `users`.
  package var mrr: Double?
  /// Users with relevant items.
  package var users: Int
  /// Their relevant items.
  package var relevant: Int

  package init(figures: [Int: Figures], mrr: Double?, users: Int, relevant: Int) {
    self.figures = figures
    self.mrr = mrr
    self.users = users
    self.relevant = relevant
  }
}

/// As JSON, one object: `users`, `relevant`, `mrr` (`null` when undefined), and for each cut-off
/// `recall@k`, `ndcg@k`, `hit_rate@k`, `precision@k`, `map@k`.
extension RankingMetrics: Encodable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(users, forKey: Key("users"))
    try container.encode(relevant, forKey: Key("relevant"))
    try container.encode(mrr, forKey: Key("mrr"))
    for (cutoff, figures) in figures {
      try container.encode(figures.recall, forKey: Key("recall@\(cutoff)"))
      try container.encode(figures.ndcg, forKey: Key("ndcg@\(cutoff)"))
      try container.encode(figures.hitRate, forKey: Key("hit_rate@\(cutoff)"))
      try container.encode(figures.precision, forKey: Key("precision@\(cutoff)"))
      try container.encode(figures.averagePrecision, forKey: Key("map@\(cutoff)"))
    }
  }
}
