/// Which epoch was the best so far, and whether to go on.
package struct BestEpoch: Codable, Equatable, Sendable {
  /// The metric of the validation split that decides.
  package enum Criterion: String, Codable, Sendable, CaseIterable {
    /// The larger area under the curve.
    case auc
    /// The larger mean of the users' areas.
    case gauc
    /// The smaller log loss.
    case loss
  }

  /// What follows from one evaluation.
  package struct Verdict: Equatable, Sendable {
    /// This epoch beats all before it.
    package let isBest: Bool
    /// As many evaluations as the patience in a row brought nothing better.
    package let shouldStop: Bool
  }

  package let criterion: Criterion
  /// Evaluations in a row without a new best after which to stop; `nil` to go on to the last epoch.
  package let patience: Int?
  /// The best epoch, `nil` until one had a finite value.
  package private(set) var epoch: Int?
  /// The value of the criterion at `epoch`.
  package private(set) var value: Double?
  /// Evaluations since the best one, or since the start.
  package private(set) var sinceBest = 0

  /// Nothing recorded yet.
  package init(criterion: Criterion, patience: Int? = nil) {
    precondition(patience.map { $0 >= 1 } ?? true, "the patience is at least 1 evaluation")
    self.criterion = criterion
    self.patience = patience
  }

  /// Takes in the metrics of an epoch.
  ///
  /// Of equal values the earlier epoch stays the best. One that is undefined, NaN or infinite is
  /// never the best.
  ///
  /// - Parameters:
  ///   - epoch: The epoch's number; later ones are larger.
  ///   - metrics: Of the validation split.
  /// - Returns: Whether to keep this model, and whether to stop.
  package mutating func record(epoch: Int, metrics: LabeledMetrics) -> Verdict {
    let candidate = finiteValue(of: metrics)
    let isBest = candidate.map(isBetter) ?? false
    if isBest {
      self.epoch = epoch
      value = candidate
      sinceBest = 0
    } else {
      sinceBest += 1
    }
    return Verdict(isBest: isBest, shouldStop: patience.map { sinceBest >= $0 } ?? false)
  }

  private func finiteValue(of metrics: LabeledMetrics) -> Double? {
    let value =
      switch criterion {
      case .auc: metrics.auc
      case .gauc: metrics.gauc
      case .loss: metrics.logLoss
      }
    return value.flatMap { $0.isFinite ? $0 : nil }
  }

  private func isBetter(_ candidate: Double) -> Bool {
    guard let value else { return true }
    return criterion == .loss ? candidate < value : candidate > value
  }
}
