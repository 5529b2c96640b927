import Evaluation
import Foundation
import Testing

/// One user with ten million rows: sums and pairs beyond 32 bits.
@Suite struct LargeUserTests {
  @Test(arguments: [1, 2]) func oneUserWithTenMillionRows(ranks: Int) throws {
    let count = 10_000_000
    let half = count / 2
    // The score is the place, the odd ones are positive: all integers below 2²⁴ are exact.
    let rows = (0..<count).map {
      LabeledRow(user: 6, label: UInt8($0 & 1), score: Float($0))
    }
    let metrics = try #require(
      try LabeledSplit(shards: [[], rows]).metrics(ranks: ranks, cutoffs: [10]).first)
    #expect(metrics.users == 1 && metrics.rows == count && metrics.positives == half)
    // The j-th positive beats j + 1 negatives: half · (half + 1) / 2 of half² pairs.
    let area = Double(half + 1) / Double(2 * half)
    let auc = try #require(metrics.auc)
    let gauc = try #require(metrics.gauc)
    // Whole numbers below 2⁵³ and a division or two: a few roundings.
    #expect(abs(auc - area) <= 0x1p-51 && abs(gauc - area) <= 0x1p-51)
    #expect(metrics.mrr == 1)
    func discount(_ rank: Int) -> Double { 1 / log2(Double(rank + 1)) }
    let gain = stride(from: 1, through: 10, by: 2).reduce(0) { $0 + discount($1) }
    let ideal = (1...10).reduce(0) { $0 + discount($1) }
    let ndcg = try #require(metrics.ndcg[10])
    #expect(abs(ndcg - gain / ideal) <= 0x1p-50)
    // The negatives' scores, and log(1 + e^−k) once for each place k, which ends after a few.
    let loss = Double(half) * Double(half - 1) + (0..<50).reduce(0) { $0 + log1p(exp(-Double($1))) }
    let logLoss = try #require(metrics.logLoss)
    // Ten million additions in blocks: far below 2⁻⁵³ · 10⁷ of the sum.
    #expect(abs(logLoss - loss / Double(count)) <= 1e-9 * logLoss)
  }
}
