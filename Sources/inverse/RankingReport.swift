import Evaluation
import Foundation

/// What `evaluate` prints about rankings.
struct RankingReport: Encodable {
  let evaluationProtocol: String
  var split: String?
  var mask: String?
  /// How many candidates were drawn, and their seed; the file of listed ones.
  var candidates: Int?
  var candidateSeed: UInt64?
  var lists: String?
  var metrics = RankingMetrics(figures: [:], mrr: nil, users: 0, relevant: 0)
  let modelSHA256: String

  private enum CodingKeys: String, CodingKey {
    case split, mask, candidates, lists, metrics
    case evaluationProtocol = "protocol"
    case candidateSeed = "candidate_seed"
    case modelSHA256 = "model_sha256"
  }

  init(_ chosen: EvaluationProtocol, split: String, mask: String, modelSHA256: String) {
    evaluationProtocol = chosen.rawValue
    self.split = split
    self.mask = mask
    self.modelSHA256 = modelSHA256
  }

  /// One line per cut-off.
  func table(_ cutoffs: [Int]) -> TextTable {
    RankingTable.make([(split ?? "lists", metrics)], cutoffs)
  }

  /// One object on one line.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

/// The figures of rankings as a table.
enum RankingTable {
  /// For each ranking one line per cut-off.
  static func make(_ rankings: [(String, RankingMetrics)], _ cutoffs: [Int])
    -> TextTable
  {
    let figure = MetricsTable.figure
    let isAmongCandidates = rankings.contains { $0.1.ties != nil }
    return TextTable(
      columns: [
        .left("split"), .right("k"), .right("recall"), .right("NDCG"), .right("hit rate"),
        .right("precision"), .right("MAP"), .right("MRR"), .right("users"),
      ] + (isAmongCandidates ? [.right("cases"), .right("ties")] : [.right("relevant")]),
      rows: rankings.flatMap { name, metrics in
        cutoffs.map { cutoff in
          let figures = metrics.figures[cutoff]
          return [
            name, "\(cutoff)", figure(figures?.recall), figure(figures?.ndcg),
            figure(figures?.hitRate), figure(figures?.precision),
            figure(figures?.averagePrecision), figure(metrics.mrr), "\(metrics.users)",
            "\(metrics.relevant)",
          ] + (isAmongCandidates ? [metrics.ties.map { "\($0)" } ?? "-"] : [])
        }
      })
  }
}
