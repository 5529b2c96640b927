import Interactions
import Storage
import Testing

@Suite struct SplitTests {
  /// 20,000 labeled pairs, each twice, and an exposure for every third pair and 3,000 others.
  func whole() -> [Row] {
    var rows: [Row] = []
    for pair in 0..<20_000 {
      let (user, item) = ("u\(pair % 400)", "i\(pair / 400)")
      if pair % 3 == 0 { rows.append(Row(user, item, nil)) }
      rows.append(Row(user, item, 1 + pair % 5))
      rows.append(Row(user, item, 1 + pair % 5))
    }
    for pair in 0..<3_000 { rows.append(Row("u\(pair % 400)", "e\(pair / 400)", nil)) }
    return rows
  }

  func prepare(
    _ rows: [Row], _ fractions: [Double], in directory: TemporaryDirectory, as name: String,
    seed: UInt64 = 1
  ) throws -> (PreparationReport, Dataset) {
    let log = try directory.write(Row.text(rows), to: "log.tsv")
    let options = PreparationOptions(
      source: .whole(interactions: log, fractions: fractions), shards: 4, seed: seed)
    let output = "\(directory.path)/\(name)"
    return (try Preparation.run(options, output: output), try Dataset.open(output))
  }

  func split(_ dataset: Dataset) throws -> [String: String] {
    var split: [String: String] = [:]
    for shard in try dataset.allShards() {
      for (name, columns) in [("train", shard.train), ("valid", shard.valid), ("test", shard.test)]
      {
        for row in try dataset.rows(columns) {
          let pair = "\(row.user) \(row.item)"
          #expect(split[pair] == nil || split[pair] == name)
          split[pair] = name
        }
      }
    }
    return split
  }

  /// A share of n pairs has standard deviation √(n p (1 − p)), at most 68 of 20,000; six of them.
  @Test func pairsAreSplitNotRows() throws {
    let directory = try TemporaryDirectory()
    let rows = whole()
    let (report, dataset) = try prepare(rows, [0.6, 0.1, 0.3], in: directory, as: "a")
    let split = try split(dataset)
    #expect(split.count == 20_000)
    for (name, share) in [("train", 0.6), ("valid", 0.1), ("test", 0.3)] {
      let count = split.values.count { $0 == name }
      let deviation = (20_000 * share * (1 - share)).squareRoot()
      #expect(abs(Double(count) - 20_000 * share) < 6 * deviation)
    }
    #expect(report.train.rows + report.valid.rows + report.test.rows == 40_000)
    // Exposures stay in train unless their pair was held out.
    let heldOut = rows.count {
      $0.rating == nil && split["\($0.user) \($0.item)", default: "train"] != "train"
    }
    #expect(heldOut > 0)
    #expect(report.withheldExposures == heldOut)
    #expect(report.exposures == rows.count { $0.rating == nil } - heldOut)
  }

  /// A pair's split depends on the seed and the pair, not on the rest of the log.
  @Test func theSplitOfAPairDoesNotDependOnTheLog() throws {
    let directory = try TemporaryDirectory()
    let rows = whole()
    let fractions = [0.5, 0.25, 0.25]
    let first = try split(try prepare(rows, fractions, in: directory, as: "a").1)
    let reversed = try split(
      try prepare(rows.reversed().dropLast(9_000), fractions, in: directory, as: "b").1)
    #expect(reversed.allSatisfy { first[$0.key] == $0.value })
    let other = try split(try prepare(rows, fractions, in: directory, as: "c", seed: 2).1)
    #expect(other != first)
  }

  @Test(arguments: [
    [], [1], [0.5, 0.5], [0.5, 0.5, 0], [0.6, 0.2, 0.3], [0.8, 0.3, -0.1],
    [.nan, 0.5, 0.5], [0.25, 0.25, 0.25, 0.25], [0.6, 0.2, 0.2 + 2e-9],
  ])
  func fractionsMustBeThreeWithSumOne(fractions: [Double]) throws {
    let directory = try TemporaryDirectory()
    let failure = try #require(
      failure { _ = try prepare(whole(), fractions, in: directory, as: "out") })
    #expect(failure.kind == .usage)
    #expect(try directory.names() == ["log.tsv"])
  }

  /// Exactly round(x · n) labels stay, whichever way the others go.
  @Test(arguments: [0.1, 0.25, 0.5, 0.999, 1], [ThinnedRows.drop, .exposure])
  func thinningKeepsAnExactNumber(fraction: Double, thinned: ThinnedRows) throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    let labels = log.train.count { $0.rating != nil }
    let kept = Int((fraction * Double(labels)).rounded())
    let (report, dataset) = try log.prepare(
      in: directory, labelFraction: fraction, thinned: thinned)
    #expect(report.train.rows == kept)
    #expect(report.thinned == labels - kept)
    let shown = log.train.count - labels
    #expect(report.exposures == (thinned == .drop ? shown : shown + labels - kept))
    #expect(dataset.validRows == log.valid.count)
    #expect(dataset.testRows == log.test.count)
    // What stays is a part of the log.
    var remaining = Dictionary(grouping: log.train, by: { $0 }).mapValues(\.count)
    for shard in try dataset.allShards() {
      for row in try dataset.rows(shard.train) {
        let match = remaining.keys.first {
          $0.user == row.user && $0.item == row.item && remaining[$0, default: 0] > 0
            && $0.rating.map { $0 >= 3 } == (row.label == 1)
        }
        remaining[try #require(match), default: 0] -= 1
      }
    }
  }

  /// Thinning draws rows and not the front of the file, and another seed draws others.
  @Test func thinningDependsOnTheSeedOnly() throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    func rows(_ name: String, _ seed: UInt64) throws -> [LabeledRow] {
      let dataset = try log.prepare(
        in: directory, as: name, shards: 1, labelFraction: 0.5, seed: seed
      ).dataset
      return try dataset.rows(dataset.shard(0).train)
    }
    let first = try rows("a", 1)
    #expect(try rows("b", 1) == first)
    #expect(try rows("c", 2) != first)
    let front = log.train.filter { $0.rating != nil }.prefix(first.count)
    #expect(first.map(\.item) != front.map(\.item))
  }
}
