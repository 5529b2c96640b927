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

/// Rankings of all items by a model, against sorting every score of every user.
@Suite struct FullRankerTests {
  private static let factors = 3

  /// Parameters of small whole numbers: scores are exact, and many are equal.
  private static func value(_ seed: Int, _ row: Int, _ column: Int) -> Float {
    var draws = Draws(seed: UInt64((seed * 1000 + row) * 100 + column))
    return Float(draws.integer(below: 5) - 2)
  }

  static func fill(_ model: Model) {
    func fill(_ table: RowTable, _ seed: Int, firstRow: Int) {
      for row in table.written {
        for column in 0..<factors {
          unsafe table.row(row)[column] = value(seed, firstRow + row, column)
        }
        unsafe table.row(row)[table.layout.biasColumn] = value(seed, firstRow + row, 50)
      }
    }
    fill(model.users, 1, firstRow: model.firstUser)
    fill(model.items, 2, firstRow: 0)
    for column in 0..<factors { unsafe model.dense.row(0)[column] = value(3, 0, column) }
    unsafe model.dense.row(0)[model.users.layout.stride] = value(3, 0, 50)
  }

  static func score(_ user: Int, _ item: Int) -> Float {
    let product = (0..<factors).reduce(Float(0)) {
      $0 + value(3, 0, $1) * value(1, user, $1) * value(2, item, $1)
    }
    return product + value(1, user, 50) + value(2, item, 50) + value(3, 0, 50)
  }

  static func configuration(_ tables: TablePlacement) -> TrainingConfiguration {
    .brief(.bce) {
      $0.factors = factors
      $0.biases = true
      $0.tables = tables
    }
  }

  /// What every rank gets.
  private static func evaluate(
    _ dataset: Dataset, ranks: Int, _ split: EvaluationSplit, _ mask: RankingMask,
    cutoffs: [Int], tables: TablePlacement = .replicated, isOneMachine: Bool = true,
    backbone: (@Sendable () -> any Backbone)? = nil,
    change: @escaping @Sendable (Model) -> Void = { _ in }
  ) throws -> [RankingMetrics] {
    MatrixProduct.useOneThread()
    return try LocalGroup.run(ranks: ranks, ranksPerMachine: isOneMachine ? nil : 1) { group in
      let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
      let configuration = configuration(tables)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let model = try Model(
        configuration, dataset: dataset, context: context, backbone: backbone?())
      try model.rewrite {
        if backbone == nil || model.backbone is PlainFactorization { fill(model) }
        change(model)
      }
      return try FullRanker(model: model, dataset: dataset, context: context)
        .evaluate(split, cutoffs: cutoffs, mask: mask)
    }
  }

  /// The means of the definitions over plain sets and sorted arrays.
  private static func oracle(
    _ dataset: Dataset, _ split: EvaluationSplit, _ mask: RankingMask, cutoff k: Int
  ) throws -> RankingMetrics {
    var sums = RankingMetrics.Figures(
      recall: 0, ndcg: 0, hitRate: 0, precision: 0, averagePrecision: 0)
    var (reciprocal, users, relevantCount) = (0.0, 0, 0)
    for index in 0..<dataset.shardCount {
      let shard = try dataset.shard(index)
      func pairs(_ columns: LabeledColumns) -> [(user: Int, item: Int, label: UInt8)] {
        unsafe zip(zip(columns.users, columns.items), columns.labels).map {
          (Int($0.0.0), Int($0.0.1), $0.1)
        }
      }
      for user in shard.users {
        var masked: Set<Int> = []
        if mask != .none {
          masked.formUnion(pairs(shard.train).filter { $0.user == user }.map(\.item))
          unsafe masked.formUnion(shard.exposures[user - shard.users.lowerBound].map { Int($0) })
        }
        if mask == .trainAndValid {
          masked.formUnion(pairs(shard.valid).filter { $0.user == user }.map(\.item))
        }
        let relevant = Set(
          pairs(split == .valid ? shard.valid : shard.test)
            .filter { $0.user == user && $0.label == 1 }.map(\.item)
        ).subtracting(masked)
        guard !relevant.isEmpty else { continue }
        let ranking = (0..<dataset.items).filter { !masked.contains($0) }
          .sorted { (score(user, $1), $0) < (score(user, $0), $1) }
        let hits = ranking.map { relevant.contains($0) }
        let places = hits.indices.filter { hits[$0] && $0 < k }
        let most = min(k, relevant.count)
        sums.recall += Double(places.count) / Double(relevant.count)
        sums.ndcg +=
          places.reduce(0) { $0 + 1 / log2(Double($1 + 2)) }
          / (0..<most).reduce(0) { $0 + 1 / log2(Double($1 + 2)) }
        sums.hitRate += places.isEmpty ? 0 : 1
        sums.precision += Double(places.count) / Double(k)
        sums.averagePrecision +=
          places.enumerated().reduce(0) { $0 + Double($1.offset + 1) / Double($1.element + 1) }
          / Double(most)
        reciprocal += 1 / Double((hits.firstIndex(of: true) ?? -1) + 1)
        users += 1
        relevantCount += relevant.count
      }
    }
    let count = Double(users)
    return RankingMetrics(
      figures: [
        k: RankingMetrics.Figures(
          recall: sums.recall / count, ndcg: sums.ndcg / count, hitRate: sums.hitRate / count,
          precision: sums.precision / count, averagePrecision: sums.averagePrecision / count)
      ], mrr: reciprocal / count, users: users, relevant: relevantCount)
  }

  /// Masks, splits, and cut-offs up to more than there are items (29).
  @Test(arguments: EvaluationSplit.allCases, RankingMask.allCases)
  func figuresAreThoseOfAFullSort(split: EvaluationSplit, mask: RankingMask) throws {
    guard split != .valid || mask != .trainAndValid else { return }
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let cutoffs = [1, 5, 40]
    let metrics = try Self.evaluate(dataset, ranks: 1, split, mask, cutoffs: cutoffs)[0]
    for cutoff in cutoffs {
      let expected = try Self.oracle(dataset, split, mask, cutoff: cutoff)
      #expect(metrics.users == expected.users && metrics.users > 10)
      #expect(metrics.relevant == expected.relevant)
      let (figures, wanted) = (
        try #require(metrics.figures[cutoff]), try #require(expected.figures[cutoff])
      )
      // Some 20 roundings for each user and one for each of 42 users; no figure exceeds 1.
      let bound = 62 * 0x1p-52
      #expect(abs(try #require(metrics.mrr) - (try #require(expected.mrr))) <= bound)
      #expect(abs(figures.recall - wanted.recall) <= bound)
      #expect(abs(figures.ndcg - wanted.ndcg) <= bound)
      #expect(abs(figures.hitRate - wanted.hitRate) <= bound)
      #expect(abs(figures.precision - wanted.precision) <= bound)
      #expect(abs(figures.averagePrecision - wanted.averagePrecision) <= bound)
    }
  }

  @Test(arguments: TablePlacement.allCases)
  func anyNumberOfRanksGetsTheSame(tables: TablePlacement) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let alone = try Self.evaluate(
      dataset, ranks: 1, .test, .trainAndValid, cutoffs: [3, 10])[0]
    for ranks in [1, 2, 3, 4, 8] {
      let all = try Self.evaluate(
        dataset, ranks: ranks, .test, .trainAndValid, cutoffs: [10, 3], tables: tables)
      #expect(all == [RankingMetrics](repeating: alone, count: ranks), "\(ranks) ranks")
    }
  }

  /// Scores of pairs give the figures of products where both are exact, wherever the rows are.
  @Test(arguments: TablePlacement.allCases, [true, false])
  func scoresNeedNotBeProducts(tables: TablePlacement, isOneMachine: Bool) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let products = try Self.evaluate(
      dataset, ranks: 1, .test, .trainAndValid, cutoffs: [3, 10])[0]
    for ranks in [1, 2, 3, 4, 8] {
      let all = try Self.evaluate(
        dataset, ranks: ranks, .test, .trainAndValid, cutoffs: [3, 10], tables: tables,
        isOneMachine: isOneMachine,
        backbone: { PlainFactorization(factors: Self.factors, hasBiases: true) })
      #expect(all == [RankingMetrics](repeating: products, count: ranks), "\(ranks) ranks")
    }
  }

  /// Dense layers round by the shape of their products, which no number of ranks may change.
  @Test(arguments: TablePlacement.allCases)
  func layersAreRankedTheSameOnAnyRanks(tables: TablePlacement) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    func evaluate(_ ranks: Int) throws -> [RankingMetrics] {
      try Self.evaluate(
        dataset, ranks: ranks, .test, .train, cutoffs: [1, 3, 10], tables: tables,
        isOneMachine: false, backbone: { Perceptron(factors: 8, hidden: 16) })
    }
    let alone = try evaluate(1)[0]
    #expect(alone.users > 10)
    #expect(try #require(alone.mrr) > 0)
    for ranks in [2, 3, 4] {
      #expect(try evaluate(ranks) == [RankingMetrics](repeating: alone, count: ranks))
    }
  }

  /// A row of one rank that is not a number ends the evaluation of all ranks with the same words.
  @Test func scoresThatAreNoNumbersAreRefusedOnAllRanks() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let users = try (0..<dataset.shardCount).flatMap { shard in
      try RankingShard(
        dataset.shard(shard), judgedBy: dataset.shard(shard).test, mask: .train
      ).users
    }
    let broken = try #require(users.dropFirst(users.count / 2).first)
    for ranks in [1, 3] {
      let refusals = try LocalGroup.run(ranks: ranks) { group in
        let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
        let configuration = Self.configuration(.replicated)
        let context = JobContext(group: group, tree: tree, configuration: configuration)
        let model = try Model(configuration, dataset: dataset, context: context)
        try model.rewrite { Self.fill(model) }
        for user in users where user >= broken {
          let row = Int(user) - model.firstUser
          if model.users.held.contains(row) { unsafe model.users.row(row)[0] = .nan }
        }
        let ranker = FullRanker(model: model, dataset: dataset, context: context)
        return failure { _ = try ranker.evaluate(.test, cutoffs: [5], mask: .train) }
      }
      let name = try dataset.userIdentifiers().externalIdentifier(of: Int(broken))
      for refusal in refusals {
        #expect(
          refusal
            == .software(
              "a score of user '\(name)' is not a number; the model has diverged: train it with a "
                + "smaller --rate"))
      }
    }
  }

  @Test func whatCannotBeRankedIsNamed() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: 1)
    let configuration = Self.configuration(.replicated)
    let context = JobContext(group: SoloGroup(), tree: tree, configuration: configuration)
    func refusal(_ split: EvaluationSplit, _ mask: RankingMask) throws -> Failure? {
      let model = try Model(configuration, dataset: dataset, context: context)
      return failure {
        _ = try FullRanker(model: model, dataset: dataset, context: context)
          .evaluate(split, cutoffs: [5], mask: mask)
      }
    }
    #expect(
      try refusal(.valid, .trainAndValid)
        == .usage(
          "the mask train,valid hides the rows that valid is judged by; use --mask train"))
    #expect(try refusal(.valid, .train) == nil)
  }

  /// The best model of a run, wherever its rows live.
  @Test func aRunIsRankedTheSameOnAnyRanks() throws {
    MatrixProduct.useOneThread()
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.checkerboard().prepare(in: directory)
    var all: [RankingMetrics] = []
    for tables in TablePlacement.allCases {
      let run = TrainingRun(
        .brief(.bce) { $0.tables = tables }, dataset, "\(directory.path)/\(tables)")
      try run.train(ranks: 1)
      for ranks in [1, 2, 3, 4] {
        all += try LocalGroup.run(ranks: ranks) { group in
          try RunEvaluation(run.directory, dataset: nil, group: group) { _ in }
            .ranking(of: .test, cutoffs: [10], mask: .train)
        }
      }
    }
    let first = try #require(all.first)
    #expect(all == [RankingMetrics](repeating: first, count: all.count))
    // Everybody's relevant item is the one on the diagonal.
    #expect(first.users == 24 && first.relevant == 24)
  }
}
