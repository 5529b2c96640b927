/// How well a model ranks items for users, one figure per cut-off `k`.
///
/// Of rankings of all items, means over the users with relevant items; of rankings among
/// candidates, where every relevant item is a case of its own with `n = 1`, means over the cases. For one user with `n` relevant items, `h(r)` of them
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
  /// Their relevant items: the cases of rankings among candidates.
  package var relevant: Int
  /// Candidates of all cases; `nil` for rankings of all items.
  package var candidates: Int?
  /// Candidates with the score of the relevant item of their case; `nil` likewise.
  package var ties: Int?

  package init(
    figures: [Int: Figures], mrr: Double?, users: Int, relevant: Int, candidates: Int? = nil,
    ties: Int? = nil
  ) {
    self.figures = figures
    self.mrr = mrr
    self.users = users
    self.relevant = relevant
    self.candidates = candidates
    self.ties = ties
  }
}

/// As JSON, one object: `users`, `relevant`, `mrr` (`null` when undefined), `candidates` and `ties` of
/// rankings among candidates, and for each cut-off `recall@k`, `ndcg@k`, `hit_rate@k`,
/// `precision@k`, `map@k`.
extension RankingMetrics: Codable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  private static var names: [(name: String, figure: WritableKeyPath<Figures, Double>)] {
    [
      ("recall", \.recall), ("ndcg", \.ndcg), ("hit_rate", \.hitRate),
      ("precision", \.precision), ("map", \.averagePrecision),
    ]
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(users, forKey: Key("users"))
    try container.encode(relevant, forKey: Key("relevant"))
    try container.encode(mrr, forKey: Key("mrr"))
    try container.encodeIfPresent(candidates, forKey: Key("candidates"))
    try container.encodeIfPresent(ties, forKey: Key("ties"))
    for (cutoff, figures) in figures {
      for (name, figure) in Self.names {
        try container.encode(figures[keyPath: figure], forKey: Key("\(name)@\(cutoff)"))
      }
    }
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    self.init(
      figures: [:], mrr: try container.decodeIfPresent(Double.self, forKey: Key("mrr")),
      users: try container.decode(Int.self, forKey: Key("users")),
      relevant: try container.decode(Int.self, forKey: Key("relevant")),
      candidates: try container.decodeIfPresent(Int.self, forKey: Key("candidates")),
      ties: try container.decodeIfPresent(Int.self, forKey: Key("ties")))
    for key in container.allKeys {
      let parts = key.stringValue.split(separator: "@")
      guard parts.count == 2, parts[0] == "recall", let cutoff = Int(parts[1]) else { continue }
      var read = Figures(recall: 0, ndcg: 0, hitRate: 0, precision: 0, averagePrecision: 0)
      for (name, figure) in Self.names {
        read[keyPath: figure] = try container.decode(
          Double.self, forKey: Key("\(name)@\(cutoff)"))
      }
      figures[cutoff] = read
    }
  }
}
