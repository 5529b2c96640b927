import Foundation
import Training

/// The figures of splits as a table.
enum MetricsTable {
  static func make(_ splits: [(String, ReportedMetrics)]) -> TextTable {
    TextTable(
      columns: [
        .left("split"), .right("AUC"), .right("GAUC"), .right("log loss"), .right("NDCG@10"),
        .right("MRR"), .right("users"), .right("rows"),
      ],
      rows: splits.map { name, metrics in
        [
          name, figure(metrics.auc), figure(metrics.gauc), figure(metrics.logLoss),
          figure(metrics.ndcgAt10), figure(metrics.mrr), "\(metrics.users)", "\(metrics.rows)",
        ]
      })
  }

  /// Four digits, or a dash for what is not defined.
  static func figure(_ value: Double?) -> String {
    value.map { String(format: "%.4f", $0) } ?? "-"
  }
}
