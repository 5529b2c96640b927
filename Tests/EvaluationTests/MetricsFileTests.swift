import Evaluation
import Foundation
import Testing

@Suite struct MetricsFileTests {
  private func text<T: Encodable>(_ value: T) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  @Test func undefinedFiguresAreNull() throws {
    let metrics = LabeledMetrics(
      auc: nil, gauc: nil, logLoss: .infinity, ndcg: [10: 0.5], mrr: nil, users: 1, rows: 2,
      positives: 2)
    #expect(
      try text(metrics)
        == #"{"auc":null,"gauc":null,"log_loss":null,"mrr":null,"ndcg":{"10":0.5},"positives":2,"#
        + #""rows":2,"users":1}"#)
    let annotation = AnnotationMetrics(
      accuracy: nil, majorityShare: nil, auc: nil, rows: 0, positives: 0)
    #expect(
      try text(annotation)
        == #"{"accuracy":null,"auc":null,"majority_share":null,"positives":0,"rows":0}"#)
  }

  /// Numbers without a short decimal form come back to the last bit.
  @Test func figuresComeBackFromTheirFile() throws {
    let metrics = LabeledMetrics(
      auc: 2.0 / 3, gauc: nil, logLoss: 0.1 + 0.2, ndcg: [5: 1.0 / 7, 20: 1], mrr: 1e-9, users: 3,
      rows: 9, positives: 4)
    let copy = try JSONDecoder().decode(LabeledMetrics.self, from: JSONEncoder().encode(metrics))
    #expect(copy == metrics)
    let annotation = AnnotationMetrics(
      accuracy: 5.0 / 7, majorityShare: 1.0 / 3, auc: nil, rows: 7, positives: 0)
    let data = try JSONEncoder().encode(annotation)
    #expect(try JSONDecoder().decode(AnnotationMetrics.self, from: data) == annotation)
  }
}

@Suite struct RankingFigureTests {
  @Test(arguments: ["recall@20", "ndcg@10", "hit-rate@1", "precision@5", "map@100", "mrr"])
  func namesComeBack(name: String) {
    #expect(RankingFigure(rawValue: name)?.rawValue == name)
    #expect(BestEpoch.Criterion(rawValue: name)?.rawValue == name)
    #expect(BestEpoch.Criterion(rawValue: name)?.rankingFigure?.rawValue == name)
  }

  @Test(arguments: [
    "", "recall", "recall@", "recall@0", "recall@-1", "recall@5@5", "recall@05", "mrr@5", "hits@5",
    "hit_rate@5", "@5", "recall@+5",
  ])
  func otherNamesAreRefused(name: String) {
    #expect(RankingFigure(rawValue: name) == nil)
    #expect(BestEpoch.Criterion(rawValue: name) == nil)
  }

  @Test func figuresAreThoseOfTheirNames() {
    let metrics = RankingMetrics(
      figures: [
        5: RankingMetrics.Figures(
          recall: 1, ndcg: 2, hitRate: 3, precision: 4, averagePrecision: 5)
      ], mrr: 6, users: 1, relevant: 1)
    let names = ["recall@5", "ndcg@5", "hit-rate@5", "precision@5", "map@5", "mrr", "recall@6"]
    #expect(
      names.map { RankingFigure(rawValue: $0).flatMap { $0.value(of: metrics) } }
        == [1, 2, 3, 4, 5, 6, nil])
  }

  /// Every figure of every cut-off survives its file, undefined ones too.
  @Test func rankingsComeBackFromTheirFile() throws {
    let figures = RankingMetrics.Figures(
      recall: 1.0 / 3, ndcg: 0.1 + 0.2, hitRate: 1, precision: 1e-9, averagePrecision: 2.0 / 7)
    for metrics in [
      RankingMetrics(figures: [3: figures, 20: figures], mrr: 1.0 / 7, users: 2, relevant: 5),
      RankingMetrics(
        figures: [1: figures], mrr: nil, users: 2, relevant: 5, candidates: 500, ties: 0),
    ] {
      let data = try JSONEncoder().encode(metrics)
      #expect(try JSONDecoder().decode(RankingMetrics.self, from: data) == metrics)
    }
  }
}

@Suite struct BestEpochTests {
  private func metrics(auc: Double? = nil, gauc: Double? = nil, loss: Double? = nil)
    -> LabeledMetrics
  {
    LabeledMetrics(
      auc: auc, gauc: gauc, logLoss: loss, ndcg: [:], mrr: nil, users: 0, rows: 0, positives: 0)
  }

  @Test func aFigureOfRankingsDecides() throws {
    func ranking(_ ndcg: Double) -> RankingMetrics {
      let figures = RankingMetrics.Figures(
        recall: 1 - ndcg, ndcg: ndcg, hitRate: 0, precision: 0, averagePrecision: 0)
      return RankingMetrics(figures: [10: figures], mrr: 0, users: 1, relevant: 1)
    }
    let figure = try #require(RankingFigure(rawValue: "ndcg@10"))
    var best = BestEpoch(criterion: .ranking(figure), patience: 2)
    #expect(best.record(epoch: 1, metrics: metrics(auc: 0.9), ranking: ranking(0.2)).isBest)
    #expect(best.record(epoch: 2, metrics: metrics(auc: 0.1), ranking: ranking(0.3)).isBest)
    #expect(!best.record(epoch: 3, metrics: metrics(auc: 1), ranking: ranking(0.3)).isBest)
    // Without rankings the figure is undefined.
    #expect(best.record(epoch: 4, metrics: metrics(auc: 1)).shouldStop)
    #expect(best.epoch == 2 && best.value == 0.3)
  }

  @Test func withoutRowsToChooseByTheLastEpochIsTheBest() {
    var best = BestEpoch(criterion: .auc, patience: 1)
    for epoch in 1...5 {
      let verdict = best.recordUnjudged(epoch: epoch)
      #expect(verdict.isBest && !verdict.shouldStop)
      #expect(best.epoch == epoch && best.value == nil)
    }
  }

  @Test func eachCriterionLooksAtItsFigure() {
    let first = metrics(auc: 0.5, gauc: 0.9, loss: 0.2)
    let second = metrics(auc: 0.6, gauc: 0.8, loss: 0.1)
    let winners = [BestEpoch.Criterion.auc, .gauc, .loss].map { criterion in
      var best = BestEpoch(criterion: criterion)
      _ = best.record(epoch: 1, metrics: first)
      _ = best.record(epoch: 2, metrics: second)
      return best.epoch
    }
    #expect(winners == [2, 1, 2])
  }

  @Test func equalValuesKeepTheEarlierEpoch() {
    var best = BestEpoch(criterion: .auc)
    #expect(best.record(epoch: 1, metrics: metrics(auc: 0.7)).isBest)
    #expect(!best.record(epoch: 2, metrics: metrics(auc: 0.7)).isBest)
    #expect(best.epoch == 1 && best.value == 0.7 && best.sinceBest == 1)
  }

  @Test(arguments: [nil, .nan, .infinity, -.infinity] as [Double?])
  func whatIsNotANumberNeverWins(value: Double?) {
    for (criterion, metrics) in [
      (BestEpoch.Criterion.auc, metrics(auc: value)), (.gauc, metrics(gauc: value)),
      (.loss, metrics(loss: value)),
    ] {
      var best = BestEpoch(criterion: criterion, patience: 2)
      let first = best.record(epoch: 1, metrics: metrics)
      #expect(!first.isBest && !first.shouldStop)
      let second = best.record(epoch: 2, metrics: metrics)
      #expect(!second.isBest && second.shouldStop)
      #expect(best.epoch == nil && best.value == nil)
    }
  }

  @Test func stopsAfterThePatienceWithoutABetterEpoch() {
    var best = BestEpoch(criterion: .loss, patience: 2)
    let verdicts = [0.5, 0.6, 0.4, 0.4, 0.9, 0.3].enumerated().map {
      best.record(epoch: $0.offset, metrics: metrics(loss: $0.element))
    }
    #expect(verdicts.map(\.isBest) == [true, false, true, false, false, true])
    #expect(verdicts.map(\.shouldStop) == [false, false, false, false, true, false])
    #expect(best.epoch == 5)
  }

  @Test func withoutPatienceNothingStops() {
    var best = BestEpoch(criterion: .auc)
    let stops = (0..<100).map { best.record(epoch: $0, metrics: metrics(auc: 0.5)).shouldStop }
    #expect(!stops.contains(true))
  }

  /// A checkpoint between two epochs changes no later verdict.
  @Test func continuesFromItsFile() throws {
    let values: [Double?] = [nil, 0.1 + 0.2, 0.3, 0.25, 0.9, nil, nil]
    for cut in 0...values.count {
      var (whole, resumed) = (
        BestEpoch(criterion: .auc, patience: 2), BestEpoch(criterion: .auc, patience: 2)
      )
      for (epoch, value) in values.enumerated() {
        if epoch == cut {
          resumed = try JSONDecoder().decode(
            BestEpoch.self, from: JSONEncoder().encode(resumed))
        }
        let metrics = metrics(auc: value)
        #expect(
          whole.record(epoch: epoch, metrics: metrics)
            == resumed.record(epoch: epoch, metrics: metrics))
      }
      #expect(whole == resumed)
    }
  }
}
