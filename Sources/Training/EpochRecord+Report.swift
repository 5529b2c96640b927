import Foundation

extension EpochRecord {
  /// `epoch 3/20  loss 0.4021  valid auc 0.8312  gauc 0.7690  1.93 M rows/s  0:12 left  best`
  ///
  /// What is left is the training of all `epochs` of `rows` rows each; a run that stops early takes
  /// less.
  func line(of epochs: Int, rows: Int) -> String {
    func figure(_ value: Double?) -> String { value.map { String(format: "%.4f", $0) } ?? "-" }
    var line = "epoch \(epoch)/\(epochs)  loss \(figure(labeledLoss))"
    if let unlabeledLoss { line += "  unlabeled \(figure(unlabeledLoss))" }
    line += "  valid auc \(figure(valid.auc))  gauc \(figure(valid.gauc))"
    if decisions != DecisionCounts() {
      line += "  direct/none/inverse \(decisions.direct)/\(decisions.none)/\(decisions.inverse)"
    }
    let left = rowsPerSecond > 0 ? Double((epochs - epoch) * rows) / rowsPerSecond : 0
    line += "  \(ProgressBar.rate(rowsPerSecond)) rows/s  \(ProgressBar.duration(left)) left"
    return line + (isBest ? "  best" : "")
  }

  /// What TensorBoard shows of an epoch.
  var scalars: [(tag: String, value: Double)] {
    let values: [(String, Double?)] = [
      ("train/labeled_loss", labeledLoss), ("train/unlabeled_loss", unlabeledLoss),
      ("train/rows_per_second", rowsPerSecond), ("valid/auc", valid.auc),
      ("valid/gauc", valid.gauc), ("valid/log_loss", valid.logLoss),
      ("valid/ndcg@10", valid.ndcgAt10), ("valid/mrr", valid.mrr),
    ]
    return values.compactMap { tag, value in value.map { (tag, $0) } }
  }
}
