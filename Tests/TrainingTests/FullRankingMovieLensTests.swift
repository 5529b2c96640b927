import Backbones
import Evaluation
import Fabric
import Foundation
import Interactions
import Kernels
import Sharding
import Storage
import Testing
import Training

private let data = ProcessInfo.processInfo.environment["INVERSE_DATA"]

/// Rankings of MovieLens 1M's 3,706 items by popularity, against figures computed independently
/// (in Python, with sets and one sort of all items).
@Suite(.enabled(if: data != nil, "INVERSE_DATA does not name the folder of real data"))
struct FullRankingMovieLensTests {
  private static func prepare(in directory: TemporaryDirectory) throws -> Dataset {
    let folder = try #require(data) + "/ml-1m"
    let options = PreparationOptions(
      source: .split(
        train: "\(folder)/train.tsv", valid: "\(folder)/valid.tsv", test: "\(folder)/test.tsv"),
      shards: 16, seed: 5)
    _ = try Preparation.run(options, output: "\(directory.path)/data")
    return try Dataset.open("\(directory.path)/data")
  }

  /// Training rows · 4096 − raw id for each item: exact, and all different, so that the order does
  /// not depend on how items are numbered.
  private static func scores(_ dataset: Dataset) throws -> [Float] {
    var counts = [Int](repeating: 0, count: dataset.items)
    for index in 0..<dataset.shardCount {
      let train = try dataset.shard(index).train
      for row in 0..<train.count { unsafe counts[Int(train.items[row])] += 1 }
    }
    var scores = [Float](repeating: 0, count: dataset.items)
    let identifiers = try dataset.itemIdentifiers()
    for raw in 1..<4096 {
      guard let item = identifiers.index(of: "\(raw)") else { continue }
      scores[item] = Float(counts[item] * 4096 - raw)
    }
    return scores
  }

  private static func evaluate(
    _ dataset: Dataset, _ scores: [Float], _ mask: RankingMask, ranks: Int, tables: TablePlacement
  ) throws -> [RankingMetrics] {
    MatrixProduct.useOneThread()
    return try LocalGroup.run(ranks: ranks) { group in
      var configuration = TrainingConfiguration()
      configuration.factors = 1
      configuration.tables = tables
      let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let model = try Model(configuration, dataset: dataset, context: context)
      for row in model.users.held { unsafe model.users.row(row)[0] = 1 }
      try model.rewrite {
        for row in model.items.written { unsafe model.items.row(row)[0] = scores[row] }
      }
      unsafe model.dense.row(0)[0] = 1
      return try FullRanker(model: model, dataset: dataset, context: context).evaluate(
        .test, cutoffs: [10, 100], mask: mask)
    }
  }

  private static let expected: [RankingMask: (mrr: Double, figures: [Int: [Double]])] = [
    .trainAndValid: (
      0.3863075307373455,
      [
        10: [
          0.07492696980961022, 0.19810957073514715, 0.659641553269167, 0.1744772651842056,
          0.11195111919274453,
        ],
        100: [
          0.3198977818434284, 0.23134498657263303, 0.9351145038167938, 0.08109359442415909,
          0.07565169222714853,
        ],
      ]
    ),
    .train: (
      0.3324124022455159,
      [
        10: [
          0.06629066002255639, 0.15507797640327464, 0.6337537338201128, 0.1376369067374773,
          0.07453420040097541,
        ],
        100: [
          0.3042826344274979, 0.20894087259918043, 0.9332890806505144, 0.07271822104214752,
          0.06096467626730341,
        ],
      ]
    ),
  ]

  @Test(arguments: [RankingMask.trainAndValid, .train])
  func popularityHasItsFigures(mask: RankingMask) throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.prepare(in: directory)
    let scores = try Self.scores(dataset)
    let alone = try Self.evaluate(dataset, scores, mask, ranks: 1, tables: .replicated)[0]
    let expected = try #require(Self.expected[mask])
    #expect(alone.users == 6026 && alone.relevant == 167_344)
    // Two sums of 6,026 numbers below 1, each in its own order.
    let bound = 2 * 6026 * 0x1p-53
    #expect(abs(try #require(alone.mrr) - expected.mrr) <= bound)
    for (cutoff, wanted) in expected.figures {
      let figures = try #require(alone.figures[cutoff])
      let found = [
        figures.recall, figures.ndcg, figures.hitRate, figures.precision, figures.averagePrecision,
      ]
      for (value, other) in zip(found, wanted) { #expect(abs(value - other) <= bound) }
    }
    let others = try Self.evaluate(dataset, scores, mask, ranks: 3, tables: .sharded)
    #expect(others == [alone, alone, alone])
  }
}
