import Checkpoints
import Evaluation
import Fabric
import Foundation
import Interactions
import Kernels
import Sharding
import Testing
import Training

private let data = ProcessInfo.processInfo.environment["INVERSE_DATA"]

/// The published lists of MovieLens 1M (He et al., WWW 2017), against the figures of
/// `Tests/Goldens/candidate_ranking.py`, which knows nothing of this code.
@Suite(.enabled(if: data != nil, "INVERSE_DATA does not name the folder of real data"))
struct CandidateGoldenTests {
  private static func golden() throws -> [String: RankingMetrics] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try JSONDecoder().decode(
      [String: RankingMetrics].self,
      from: Data(contentsOf: folder.appending(path: "Goldens/candidate_ranking.json")))
  }

  /// The lists say what is judged; a dataset needs rows in every split all the same.
  private static func prepare(in directory: TemporaryDirectory) throws -> Dataset {
    let folder = try #require(data) + "/ncf-ml-1m"
    let held = try String(contentsOfFile: "\(folder)/test.rating", encoding: .utf8)
      .split(separator: "\n")
    let options = PreparationOptions(
      source: .split(
        train: "\(folder)/train.rating",
        valid: try directory.write(held.prefix(40).joined(separator: "\n"), to: "valid.tsv"),
        test: try directory.write(held.dropFirst(40).joined(separator: "\n"), to: "test.tsv")),
      shards: 16, seed: 5)
    _ = try Preparation.run(options, output: "\(directory.path)/data")
    return try Dataset.open("\(directory.path)/data")
  }

  /// Factorisations of 8 factors from what `write` makes of external ids.
  private static func evaluate(
    _ dataset: Dataset, ranks: Int, tables: TablePlacement,
    user: @escaping @Sendable (_ raw: Int) -> [Float],
    item: @escaping @Sendable (_ raw: Int) -> [Float],
    weight: [Float], bias: Float
  ) throws -> [RankingMetrics] {
    let path = try #require(data) + "/ncf-ml-1m/test.negative"
    return try LocalGroup.run(ranks: ranks, ranksPerMachine: 1) { group in
      var configuration = TrainingConfiguration()
      configuration.factors = 8
      configuration.tables = tables
      let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let model = try Model(configuration, dataset: dataset, context: context)
      let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
      try model.rewrite {
        for raw in 0..<6040 {
          guard let known = users.index(of: "\(raw)") else { continue }
          let row = known - model.firstUser
          if model.users.held.contains(row) { unsafe write(user(raw), to: model.users.row(row)) }
        }
        for raw in 0..<3706 {
          guard let row = items.index(of: "\(raw)") else { continue }
          if model.items.written.contains(row) { unsafe write(item(raw), to: model.items.row(row)) }
        }
        unsafe write(weight + [bias], to: model.dense.row(0))
      }
      let scorer = Scorer(model: model, dataset: dataset, context: context)
      return try CandidateRanker(scorer: scorer, dataset: dataset, context: context).evaluate(
        try ListedCases.read(path, dataset: dataset, context: context), cutoffs: [1, 5, 10])
    }
  }

  private static func write(_ values: [Float], to row: UnsafeMutablePointer<Float>) {
    for (column, value) in values.enumerated() { unsafe row[column] = value }
  }

  private static func expect(_ found: RankingMetrics, _ golden: RankingMetrics) throws {
    #expect(found.users == golden.users && found.relevant == golden.relevant)
    #expect(found.candidates == golden.candidates && found.ties == golden.ties)
    // Two sums of 6,040 numbers of at most 1, each in its own order.
    let bound = 2 * 6040 * 0x1p-53
    #expect(abs(try #require(found.mrr) - (try #require(golden.mrr))) <= bound)
    for (cutoff, wanted) in golden.figures {
      let figures = try #require(found.figures[cutoff])
      #expect(abs(figures.recall - wanted.recall) <= bound)
      #expect(abs(figures.ndcg - wanted.ndcg) <= bound)
      #expect(abs(figures.hitRate - wanted.hitRate) <= bound)
      #expect(abs(figures.precision - wanted.precision) <= bound)
      #expect(abs(figures.averagePrecision - wanted.averagePrecision) <= bound)
    }
  }

  @Test func popularityHasItsFigures() throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.prepare(in: directory)
    var counts = [Float](repeating: 0, count: dataset.items)
    for index in 0..<dataset.shardCount {
      let train = try dataset.shard(index).train
      for row in 0..<train.count { unsafe counts[Int(train.items[row])] += 1 }
    }
    let (popularity, items) = (counts, try dataset.itemIdentifiers())
    func evaluate(_ ranks: Int, _ tables: TablePlacement) throws -> [RankingMetrics] {
      try Self.evaluate(
        dataset, ranks: ranks, tables: tables, user: { _ in [1] },
        item: { raw in [items.index(of: "\(raw)").map { popularity[$0] } ?? 0] },
        weight: [1, 0, 0, 0, 0, 0, 0, 0], bias: 0)
    }
    let alone = try evaluate(1, .replicated)[0]
    try Self.expect(alone, try #require(try Self.golden()["popularity"]))
    #expect(try evaluate(3, .sharded) == [alone, alone, alone])
  }

  /// HR@10 .6367550 and NDCG@10 .3690848, as published with the weights.
  @Test func publishedWeightsHaveTheirFigures() throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.prepare(in: directory)
    let file = try TensorFile.Reader(
      path: try #require(data) + "/ncf-ml-1m/pretrained.safetensors")
    let users = try file.values("gmf.user", as: Float.self)
    let items = try file.values("gmf.item", as: Float.self)
    let (weight, bias) = (
      try file.values("gmf.weight", as: Float.self), try file.values("gmf.bias", as: Float.self)
    )
    let metrics = try Self.evaluate(
      dataset, ranks: 2, tables: .replicated,
      user: { Array(users[$0 * 8..<$0 * 8 + 8]) }, item: { Array(items[$0 * 8..<$0 * 8 + 8]) },
      weight: weight, bias: bias[0])
    // No score of a candidate is so near that of the item that single precision changes a rank.
    try Self.expect(metrics[0], try #require(try Self.golden()["gmf"]))
    #expect(metrics[0] == metrics[1])
  }
}
