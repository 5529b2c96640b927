/// Which epoch was the best so far, and whether to go on.
package struct BestEpoch: Codable, Equatable, Sendable {
  /// The metric of the validation split that decides.
  package enum Criterion: RawRepresentable, Codable, Hashable, Sendable {
    /// The larger area under the curve.
    case auc
    /// The larger mean of the users' areas.
    case gauc
    /// The smaller log loss.
    case loss
    /// The larger figure of rankings.
    case ranking(RankingFigure)

    /// From `auc`, `gauc`, `loss` or the name of a ``RankingFigure``.
    package init?(rawValue: String) {
      switch rawValue {
      case "auc": self = .auc
      case "gauc": self = .gauc
      case "loss": self = .loss
      default:
        guard let figure = RankingFigure(rawValue: rawValue) else { return nil }
        self = .ranking(figure)
      }
    }

    package var rawValue: String {
      switch self {
      case .auc: "auc"
      case .gauc: "gauc"
      case .loss: "loss"
      case .ranking(let figure): figure.rawValue
      }
    }

    /// The figure of rankings, if it is one.
    package var rankingFigure: RankingFigure? {
      if case .ranking(let figure) = self { figure } else { nil }
    }
  }

  /// What follows from one evaluation.
  package struct Verdict: Equatable, Sendable {
    /// This epoch beats all before it.
    package let isBest: Bool
    /// As many evaluations as the patience in a row brought nothing better.
    package let shouldStop: Bool

    /// What follows from an epoch that is not evaluated.
    package static let undecided = Verdict(isBest: false, shouldStop: false)
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
  ///   - metrics: Of the labeled rows of the validation split.
  ///   - ranking: Of its rankings, if the criterion is one of theirs.
  /// - Returns: Whether to keep this model, and whether to stop.
  package mutating func record(
    epoch: Int, metrics: LabeledMetrics, ranking: RankingMetrics? = nil
  ) -> Verdict {
    let candidate = finiteValue(of: metrics, ranking)
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

  /// Takes in an epoch of a dataset without a validation split: the last one is the best.
  ///
  /// - Returns: To keep this model and go on.
  package mutating func recordUnjudged(epoch: Int) -> Verdict {
    self.epoch = epoch
    return Verdict(isBest: true, shouldStop: false)
  }

  private func finiteValue(of metrics: LabeledMetrics, _ ranking: RankingMetrics?) -> Double? {
    let value =
      switch criterion {
      case .auc: metrics.auc
      case .gauc: metrics.gauc
      case .loss: metrics.logLoss
      case .ranking(let figure): ranking.flatMap(figure.value)
      }
    return value.flatMap { $0.isFinite ? $0 : nil }
  }

  private func isBetter(_ candidate: Double) -> Bool {
    guard let value else { return true }
    return criterion == .loss ? candidate < value : candidate > value
  }
}
