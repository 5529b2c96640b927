import Interactions
import Testing

@Suite struct RealDataTests {
  /// The facts of the split of MovieLens 1M that the method's figures rest on.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func movieLensHasItsKnownFacts() throws {
    let source = try #require(realData) + "/ml-1m"
    let directory = try TemporaryDirectory()
    let options = PreparationOptions(
      source: .split(
        train: source + "/train.tsv", valid: source + "/valid.tsv", test: source + "/test.tsv"))
    let report = try Preparation.run(options, output: directory.path + "/dataset")
    #expect(report.users == 6_040)
    #expect(report.items == 3_706)
    #expect(report.train.rows == 600_125)
    #expect(report.valid.rows == 200_042)
    #expect(report.test.rows == 200_042)
    #expect(report.exposures == 0)
    #expect(report.repeatedPairs == 0)
    #expect(report.valid.itemsUnknownToTrain == 30)
    #expect(report.test.itemsUnknownToTrain == 33)
    // Counted from the files by other means; 83.6 % of all rows.
    #expect(report.train.positives == 502_112)
    #expect(report.valid.positives == 167_022)
    #expect(report.test.positives == 167_344)
    // Largest first leaves shards apart by less than the smallest users: far below one in 1,000.
    #expect(report.imbalance < 1.001)
    let dataset = try Dataset.open(directory.path + "/dataset")
    let shards = try dataset.allShards()
    #expect(shards.reduce(0) { $0 + $1.train.count } == 600_125)
    let judged = Set(shards.flatMap { unsafe Array($0.test.users) })
    #expect(judged.count == 6_034)
    #expect(shards.allSatisfy { UnlabeledSampler(shard: $0, seed: 1).canAlwaysSupply })
  }
}
