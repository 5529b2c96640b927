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
    #expect(dataset.manifest.version == 1)
    let shards = try dataset.allShards()
    #expect(shards.reduce(0) { $0 + $1.train.count } == 600_125)
    let judged = Set(shards.flatMap { unsafe Array($0.test.users) })
    #expect(judged.count == 6_034)
    #expect(shards.allSatisfy { UnlabeledSampler(shard: $0, seed: 1).canAlwaysSupply })
  }

  private func prepare(
    _ source: PreparationOptions.Source, in directory: TemporaryDirectory,
    _ change: (inout PreparationOptions) -> Void
  ) throws -> (report: PreparationReport, dataset: Dataset) {
    var options = PreparationOptions(source: source)
    change(&options)
    let report = try Preparation.run(options, output: directory.path + "/dataset")
    return (report, try Dataset.open(directory.path + "/dataset"))
  }

  /// Gowalla as split by the authors of NGCF and LightGCN; figures of their papers.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func gowallaHasItsPublishedFacts() throws {
    let source = try #require(realData) + "/gowalla"
    let directory = try TemporaryDirectory()
    let (report, dataset) = try prepare(
      .split(train: source + "/train.txt", valid: nil, test: source + "/test.txt"), in: directory
    ) {
      $0.format = .adjacency
      $0.unrated = .positive
    }
    #expect(report.users == 29_858)
    #expect(report.items == 40_981)
    #expect(report.train == .init(rows: 810_128, positives: 810_128))
    #expect(report.valid.rows == 0)
    #expect(report.test == .init(rows: 217_242, positives: 217_242))
    #expect(report.repeatedPairs == 0)
    let shards = try dataset.allShards()
    let edges = shards.reduce(0) { unsafe $0 + $1.positiveItems().items.count }
    #expect(edges == 810_128)
  }

  /// Amazon Games as preprocessed by the authors of SASRec; 112 users have fewer than three rows.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func gamesAreHeldOutAsPublished() throws {
    let source = try #require(realData) + "/games/interactions.txt"
    let directory = try TemporaryDirectory()
    let (report, dataset) = try prepare(.leaveOneOut(interactions: source), in: directory) {
      $0.unrated = .positive
      $0.keepsSequences = true
    }
    #expect(report.users == 31_013)
    #expect(report.items == 23_715)
    #expect(report.valid.rows == 31_013 - 112)
    #expect(report.test.rows == 31_013 - 112)
    #expect(report.train.rows == 287_107 - 2 * 30_901)
    #expect(report.withheldLabels == 0)
    // The file is in the order of time: sequence, valid and test are the lines of a user.
    var lines: [String: [String]] = [:]
    let log = try LogReader(path: source)
    while try log.next() {
      unsafe lines[String(decoding: log.user, as: UTF8.self), default: []].append(
        String(decoding: log.item, as: UTF8.self))
    }
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    for shard in try dataset.allShards() {
      let test = Dictionary(grouping: try dataset.rows(shard.test), by: \.user)
      for user in shard.users {
        let name = users.externalIdentifier(of: user)
        let context = shard.context(of: UInt32(user), for: .test, last: 2_000).map {
          items.externalIdentifier(of: Int($0))
        }
        #expect(context + (test[name] ?? []).map(\.item) == lines[name])
      }
    }
  }

  /// MovieLens-1M as held out by the authors of NCF, with a list of 99 candidates for each user.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func neuralCollaborativeFilteringHasItsPublishedFacts() throws {
    let source = try #require(realData) + "/ncf-ml-1m"
    let directory = try TemporaryDirectory()
    let (report, dataset) = try prepare(
      .split(train: source + "/train.rating", valid: nil, test: source + "/test.rating"),
      in: directory
    ) { $0.positiveFrom = 0 }
    #expect(report.users == 6_040)
    #expect(report.items == 3_706)
    #expect(report.train == .init(rows: 994_169, positives: 994_169))
    #expect(report.test.rows == 6_040)
    #expect(report.test.itemsUnknownToTrain == 2)
    var heldOut: [Int: Int] = [:]
    for shard in try dataset.allShards() {
      for row in 0..<shard.test.count {
        unsafe heldOut[Int(shard.test.users[row])] = unsafe Int(shard.test.items[row])
      }
    }
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let lists = try CandidateListReader(path: source + "/test.negative")
    var count = 0
    while let list = try lists.next(users: users.index(of:), items: items.index(of:)) {
      #expect(heldOut[list.user] == list.positive)
      #expect(Set(list.candidates).count == 99)
      count += 1
    }
    #expect(count == 6_040)
  }

  /// MovieLens-100K as in EvalDenoisingRec: its test holds pairs of rating 5, many of them in valid.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func noisyMovieLensHasItsKnownFacts() throws {
    let source = try #require(realData) + "/ml-100k-noisy"
    let directory = try TemporaryDirectory()
    let (report, _) = try prepare(
      .split(
        train: source + "/train.rating", valid: source + "/valid.rating",
        test: source + "/test.negative"), in: directory
    ) {
      $0.positiveFrom = 0
      $0.allowsOverlap = true
    }
    #expect(report.users == 943)
    #expect(report.items == 1_611)
    #expect(report.train == .init(rows: 79_619, positives: 79_619))
    #expect(report.valid == .init(rows: 9_901, positives: 9_901))
    #expect(report.test == .init(rows: 3_594, positives: 3_594))
    #expect(report.overlappingRows == 1_707)
  }
}
