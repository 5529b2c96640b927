import Evaluation
import Foundation

extension EpochRecord {
  /// `epoch 3/20  loss 0.4021  valid auc 0.8312  gauc 0.7690  1.93 M rows/s  0:12 left  best`
  ///
  /// What is left is the training of all `epochs` of `rows` rows each; a run that stops early takes
  /// less.
  func line(of epochs: Int, rows: Int, select: BestEpoch.Criterion) -> String {
    var line = "epoch \(epoch)/\(epochs)  loss \(Self.figure(labeledLoss))"
    if let unlabeledLoss { line += "  unlabeled \(Self.figure(unlabeledLoss))" }
    if let valid { line += "  valid \(Self.figures(valid, select))" }
    if let test { line += "  test \(Self.figures(test, select))" }
    if decisions != DecisionCounts() {
      line += "  direct/none/inverse \(decisions.direct)/\(decisions.none)/\(decisions.inverse)"
    }
    let left = rowsPerSecond > 0 ? Double((epochs - epoch) * rows) / rowsPerSecond : 0
    line += "  \(ProgressBar.rate(rowsPerSecond)) rows/s  \(ProgressBar.duration(left)) left"
    return line + (isBest ? "  best" : "")
  }

  private static func figure(_ value: Double?) -> String {
    value.map { String(format: "%.4f", $0) } ?? "-"
  }

  /// `auc 0.8312  gauc 0.7690`, and of rankings the figure that decides, or recall and NDCG at 20.
  private static func figures(_ metrics: ReportedMetrics, _ select: BestEpoch.Criterion) -> String {
    var text = "auc \(figure(metrics.auc))  gauc \(figure(metrics.gauc))"
    guard let ranking = metrics.ranking else { return text }
    let names = select.rankingFigure.map { [$0.rawValue] } ?? ["recall@20", "ndcg@20"]
    for name in names {
      let value = RankingFigure(rawValue: name).flatMap { $0.value(of: ranking.metrics) }
      text += "  \(name) \(figure(value))"
    }
    return text
  }

  /// What TensorBoard shows of an epoch.
  var scalars: [(tag: String, value: Double)] {
    let values: [(String, Double?)] = [
      ("train/labeled_loss", labeledLoss), ("train/unlabeled_loss", unlabeledLoss),
      ("train/rows_per_second", rowsPerSecond),
    ]
    return values.compactMap { tag, value in value.map { (tag, $0) } }
      + Self.scalars("valid", valid) + Self.scalars("test", test)
  }

  private static func scalars(
    _ split: String, _ metrics: ReportedMetrics?
  ) -> [(tag: String, value: Double)] {
    guard let metrics else { return [] }
    var values: [(String, Double?)] = [
      ("auc", metrics.auc), ("gauc", metrics.gauc), ("log_loss", metrics.logLoss),
      ("ndcg@10", metrics.ndcgAt10), ("mrr", metrics.mrr),
    ]
    if let ranking = metrics.ranking {
      let prefix = "ranking_\(ranking.protocol)"
      for (cutoff, figures) in ranking.metrics.figures.sorted(by: { $0.key < $1.key }) {
        values += [
          ("\(prefix)/recall@\(cutoff)", figures.recall),
          ("\(prefix)/ndcg@\(cutoff)", figures.ndcg),
          ("\(prefix)/hit_rate@\(cutoff)", figures.hitRate),
        ]
      }
      values.append(("\(prefix)/mrr", ranking.metrics.mrr))
    }
    return values.compactMap { name, value in value.map { ("\(split)/\(name)", $0) } }
  }
}
