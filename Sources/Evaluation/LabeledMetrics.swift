/// How well scores order and predict the labels of a split.
///
/// As JSON, an undefined figure is `null`, and so is a log loss that is infinite.
package struct LabeledMetrics: Equatable, Sendable {
  /// The area under the curve of all rows, ties half; `nil` unless both labels occur.
  package var auc: Double?
  /// The unweighted mean of the users' areas; `nil` without `users`.
  package var gauc: Double?
  /// The mean over rows of softplus(−y) for label 1 and softplus(y) for label 0, in nats; `nil`
  /// without rows, infinite after an infinite score of the wrong sign.
  package var logLoss: Double?
  /// The mean over users of the normalised discounted cumulative gain among the user's labeled
  /// rows, by cut-off; empty without `users`.
  package var ndcg: [Int: Double]
  /// The mean over users of the reciprocal rank of the first positive among the user's labeled
  /// rows; `nil` without `users`.
  package var mrr: Double?
  /// Users with rows of both labels: those that `gauc`, `ndcg` and `mrr` are means over. Any order
  /// of the rows of another user is as good as any other.
  package var users: Int
  /// Rows of the split.
  package var rows: Int
  /// Rows of label 1.
  package var positives: Int

  package init(
    auc: Double?, gauc: Double?, logLoss: Double?, ndcg: [Int: Double], mrr: Double?, users: Int,
    rows: Int, positives: Int
  ) {
    self.auc = auc
    self.gauc = gauc
    self.logLoss = logLoss
    self.ndcg = ndcg
    self.mrr = mrr
    self.users = users
    self.rows = rows
    self.positives = positives
  }
}

extension LabeledMetrics: Codable {
  private enum CodingKeys: String, CodingKey {
    case auc, gauc, ndcg, mrr, users, rows, positives
    case logLoss = "log_loss"
  }

  package func encode(to encoder: any Encoder) throws {
    // The synthesised encoding leaves out what is nil and fails on infinities.
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(auc, forKey: .auc)
    try container.encode(gauc, forKey: .gauc)
    try container.encode(logLoss.flatMap { $0.isFinite ? $0 : nil }, forKey: .logLoss)
    try container.encode(ndcg, forKey: .ndcg)
    try container.encode(mrr, forKey: .mrr)
    try container.encode(users, forKey: .users)
    try container.encode(rows, forKey: .rows)
    try container.encode(positives, forKey: .positives)
  }
}
