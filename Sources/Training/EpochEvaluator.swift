import Evaluation
import Interactions
import Storage

/// What a run is judged by while it goes on, and what it reports beside that.
///
/// A collective throughout. Rankings of valid leave out what users met in training, those of test also
/// the labeled rows of valid; candidates are drawn as `evaluate` draws them by default.
final class EpochEvaluator {
  /// The k that are reported beside the selected one.
  private static let cutoffs = [10, 20]

  /// The figures of a split.
  struct Figures {
    let labeled: LabeledMetrics
    var ranking: ReportedRanking?

    var reported: ReportedMetrics { ReportedMetrics(labeled, ranking: ranking) }
  }

  private let configuration: TrainingConfiguration
  private let scorer: Scorer
  private let fullRanker: FullRanker
  private let candidateRanker: CandidateRanker
  private let lists: [ListedCases]?
  private let cutoffs: [Int]

  /// - Parameters:
  ///   - configuration: What is asked for.
  ///   - model: The parameters; those at the time of a call count.
  ///   - dataset: The rows.
  ///   - context: Ranks and shards.
  /// - Throws: `Failure`: data for a file of lists that names unknown ids, usage for a dataset with
  ///   too few items for the candidates, `inputOutput`.
  init(
    _ configuration: TrainingConfiguration, model: Model, dataset: Dataset, context: JobContext
  ) throws {
    self.configuration = configuration
    scorer = Scorer(model: model, dataset: dataset, context: context)
    fullRanker = FullRanker(model: model, dataset: dataset, context: context)
    candidateRanker = CandidateRanker(scorer: scorer, dataset: dataset, context: context)
    lists = try configuration.lists.map {
      try ListedCases.read($0, dataset: dataset, context: context)
    }
    cutoffs = Set(Self.cutoffs + [configuration.select.rankingFigure?.cutoff ?? 10]).sorted()
    let isSampling =
      configuration.reportTest == .sampled
      || configuration.select.rankingFigure != nil && configuration.selectProtocol == .sampled
    if isSampling { try candidateRanker.requireItems(for: CandidateSampling()) }
  }

  /// Whether an epoch, from 1, is evaluated.
  func isDue(_ epoch: Int) -> Bool { epoch % configuration.evaluateEvery == 0 }

  /// What chooses the best epoch.
  ///
  /// - Throws: `Failure`; what the group throws.
  func valid() throws -> Figures {
    var figures = Figures(labeled: try scorer.evaluate(.valid))
    if configuration.select.rankingFigure != nil {
      figures.ranking = try ranking(.valid, configuration.selectProtocol.report)
    }
    return figures
  }

  /// What is reported of test: the rankings that were asked for, or else those that choose the best
  /// epoch on valid.
  ///
  /// - Throws: `Failure`; what the group throws.
  func test() throws -> Figures {
    var figures = Figures(labeled: try scorer.evaluate(.test))
    let selected =
      configuration.select.rankingFigure == nil ? nil : configuration.selectProtocol.report
    if let report = configuration.reportTest ?? selected, report != .labeled {
      figures.ranking = try ranking(.test, report)
    }
    return figures
  }

  private func ranking(
    _ split: EvaluationSplit, _ report: TestReport
  ) throws -> ReportedRanking {
    let mask = split == .valid ? RankingMask.train : .trainAndValid
    let metrics: RankingMetrics
    if report == .lists, let lists {
      metrics = try candidateRanker.evaluate(lists, cutoffs: cutoffs)
    } else if report == .sampled {
      metrics = try candidateRanker.evaluate(
        split, cutoffs: cutoffs, mask: mask, sampling: CandidateSampling())
    } else {
      metrics = try fullRanker.evaluate(split, cutoffs: cutoffs, mask: mask)
    }
    return ReportedRanking(
      protocol: report.rawValue, mask: report == .lists ? nil : mask.rawValue, metrics: metrics)
  }
}

extension SelectionProtocol {
  fileprivate var report: TestReport { self == .full ? .full : .sampled }
}
