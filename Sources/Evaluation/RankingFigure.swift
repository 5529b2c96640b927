/// One figure of rankings, such as `recall@20`.
package struct RankingFigure: RawRepresentable, Hashable, Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case recall, ndcg
    case hitRate = "hit-rate"
    case precision, map, mrr
  }

  package let kind: Kind
  /// At least 1; `nil` for the mean reciprocal rank, which has none.
  package let cutoff: Int?

  /// From `recall@20`, `ndcg@10`, `hit-rate@10`, `precision@5`, `map@10` or `mrr`.
  package init?(rawValue: String) {
    let parts = rawValue.split(separator: "@", omittingEmptySubsequences: false)
    guard let kind = Kind(rawValue: String(parts[0])) else { return nil }
    guard kind != .mrr else {
      guard parts.count == 1 else { return nil }
      (self.kind, cutoff) = (kind, nil)
      return
    }
    guard parts.count == 2, let cutoff = Int(parts[1]), cutoff >= 1, "\(cutoff)" == parts[1] else {
      return nil
    }
    (self.kind, self.cutoff) = (kind, cutoff)
  }

  package var rawValue: String { cutoff.map { "\(kind.rawValue)@\($0)" } ?? kind.rawValue }

  /// The figure; `nil` when it is undefined or was not asked for.
  package func value(of metrics: RankingMetrics) -> Double? {
    guard let cutoff else { return metrics.mrr }
    let figures = metrics.figures[cutoff]
    return switch kind {
    case .recall: figures?.recall
    case .ndcg: figures?.ndcg
    case .hitRate: figures?.hitRate
    case .precision: figures?.precision
    case .map: figures?.averagePrecision
    case .mrr: metrics.mrr
    }
  }
}
