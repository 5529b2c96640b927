import Evaluation
import Foundation

/// What `evaluate --protocol full` prints.
struct RankingReport: Encodable {
  let split: String
  let mask: String
  let metrics: RankingMetrics
  let modelSHA256: String
  private let evaluationProtocol = "full"

  private enum CodingKeys: String, CodingKey {
    case split, mask, metrics
    case modelSHA256 = "model_sha256"
    case evaluationProtocol = "protocol"
  }

  init(split: String, mask: String, metrics: RankingMetrics, modelSHA256: String) {
    self.split = split
    self.mask = mask
    self.metrics = metrics
    self.modelSHA256 = modelSHA256
  }

  /// One line per cut-off.
  func table(_ cutoffs: [Int]) -> TextTable {
    let figure = MetricsTable.figure
    return TextTable(
      columns: [
        .left("split"), .right("k"), .right("recall"), .right("NDCG"), .right("hit rate"),
        .right("precision"), .right("MAP"), .right("MRR"), .right("users"), .right("relevant"),
      ],
      rows: cutoffs.map { cutoff in
        let figures = metrics.figures[cutoff]
        return [
          split, "\(cutoff)", figure(figures?.recall), figure(figures?.ndcg),
          figure(figures?.hitRate), figure(figures?.precision), figure(figures?.averagePrecision),
          figure(metrics.mrr), "\(metrics.users)", "\(metrics.relevant)",
        ]
      })
  }

  /// One object on one line.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
