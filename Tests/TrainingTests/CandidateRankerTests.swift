import Evaluation
import Fabric
import Foundation
import Interactions
import Kernels
import Sharding
import Storage
import Testing
import Training

/// Rankings of one relevant item among candidates, against counting by the definitions.
@Suite struct CandidateRankerTests {
  /// A case as plain numbers.
  struct Case: Equatable {
    var user: Int
    var relevant: Int
    var candidates: [Int]
  }

  /// What every rank gets from `body`, with the exact model of the full rankings.
  static func onRanks<T: Sendable>(
    _ ranks: Int, _ dataset: Dataset, tables: TablePlacement = .replicated,
    change: @escaping @Sendable (Model) -> Void = { _ in },
    _ body: @escaping @Sendable (CandidateRanker, JobContext) throws -> T
  ) throws -> [T] {
    try LocalGroup.run(ranks: ranks, ranksPerMachine: 1) { group in
      let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
      let configuration = FullRankerTests.configuration(tables)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let model = try Model(configuration, dataset: dataset, context: context)
      try model.rewrite {
        FullRankerTests.fill(model)
        change(model)
      }
      let scorer = Scorer(model: model, dataset: dataset, context: context)
      return try body(CandidateRanker(scorer: scorer, dataset: dataset, context: context), context)
    }
  }

  /// All cases of a shard, by its block.
  static func cases(_ source: some CandidateCases) -> [Case] {
    var (source, cases) = (source, [Case]())
    var block = CandidateBlock()
    while source.next(into: &block) {
      block.closeShard()
      cases.append(
        Case(
          user: Int(block.users[0]), relevant: Int(block.items[0]),
          candidates: block.items.dropFirst().map { Int($0) }))
      #expect(Set(block.users).count == 1)
      block.removeAll()
    }
    return cases
  }

  static func sampled(
    _ dataset: Dataset, _ split: EvaluationSplit, _ mask: RankingMask,
    _ sampling: CandidateSampling
  ) throws -> [Case] {
    try (0..<dataset.shardCount).flatMap { index in
      let shard = try dataset.shard(index)
      return cases(
        SampledCases(
          RankingShard(
            shard, judgedBy: split == .valid ? shard.valid : shard.test, mask: mask),
          itemCount: dataset.items, sampling: sampling))
    }
  }

  /// The definitions, term by term.
  static func oracle(
    _ cases: [Case], cutoffs: [Int], score: (Int, Int) -> Float
  ) -> RankingMetrics {
    let ranks = cases.map { one in
      1
        + Set(one.candidates).subtracting([one.relevant]).count {
          score(one.user, $0) > score(one.user, one.relevant)
        }
    }
    func mean(_ value: (Int) -> Double) -> Double {
      ranks.reduce(0) { $0 + value($1) } / Double(ranks.count)
    }
    var figures: [Int: RankingMetrics.Figures] = [:]
    for k in cutoffs {
      let hitRate = mean { $0 <= k ? 1 : 0 }
      figures[k] = RankingMetrics.Figures(
        recall: hitRate, ndcg: mean { $0 <= k ? 1 / log2(Double($0 + 1)) : 0 }, hitRate: hitRate,
        precision: mean { $0 <= k ? 1 / Double(k) : 0 },
        averagePrecision: mean { $0 <= k ? 1 / Double($0) : 0 })
    }
    return RankingMetrics(
      figures: figures, mrr: mean { 1 / Double($0) }, users: Set(cases.map(\.user)).count,
      relevant: cases.count,
      candidates: cases.reduce(0) { $0 + Set($1.candidates).subtracting([$1.relevant]).count },
      ties: cases.reduce(0) { sum, one in
        sum
          + Set(one.candidates).subtracting([one.relevant]).count {
            score(one.user, $0) == score(one.user, one.relevant)
          }
      })
  }

  /// Counts alike, and means but for the roundings of two sums of numbers up to 1.
  static func expectClose(
    _ found: RankingMetrics, _ expected: RankingMetrics,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let bound = 2 * Double(expected.relevant) * 0x1p-52
    func values(_ metrics: RankingMetrics) throws -> [Double] {
      try [#require(metrics.mrr)]
        + metrics.figures.sorted { $0.key < $1.key }.flatMap {
          [$1.recall, $1.ndcg, $1.hitRate, $1.precision, $1.averagePrecision]
        }
    }
    #expect(found.figures.keys == expected.figures.keys, sourceLocation: location)
    for (value, other) in zip(try values(found), try values(expected)) {
      #expect(abs(value - other) <= bound, sourceLocation: location)
    }
    #expect(
      [found.users, found.relevant, found.candidates, found.ties]
        == [expected.users, expected.relevant, expected.candidates, expected.ties],
      sourceLocation: location)
  }

  // MARK: Drawn candidates

  /// Every positive row is a case; candidates are new items, each once, and as many as there are.
  @Test(arguments: EvaluationSplit.allCases, RankingMask.allCases)
  func candidatesAreItemsThatTheUserDidNotMeet(split: EvaluationSplit, mask: RankingMask) throws {
    guard split != .valid || mask != .trainAndValid else { return }
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    var hasAll = false
    for count in [1, 7, 28] {
      let cases = try Self.sampled(
        dataset, split, mask, CandidateSampling(count: count, seed: 3))
      var expected: [Case] = []
      for index in 0..<dataset.shardCount {
        let shard = try dataset.shard(index)
        let users = RankingShard(
          shard, judgedBy: split == .valid ? shard.valid : shard.test, mask: mask)
        for (place, user) in users.users.enumerated() {
          let relevant = users.relevant[
            users.relevantStarts[place]..<users.relevantStarts[place + 1]]
          var excluded = Set(relevant.map { Int($0) })
          if mask != .none {
            unsafe excluded.formUnion(shard.met[shard.local(user)].map { Int($0) })
          }
          if mask == .trainAndValid {
            let valid = shard.valid
            for row in 0..<valid.count where unsafe valid.users[row] == user {
              unsafe excluded.insert(Int(valid.items[row]))
            }
          }
          let rest = Set(0..<dataset.items).subtracting(excluded)
          for item in relevant {
            expected.append(Case(user: Int(user), relevant: Int(item), candidates: rest.sorted()))
          }
        }
      }
      #expect(cases.count > 10)
      #expect(cases.map(\.user) == expected.map(\.user))
      #expect(cases.map(\.relevant) == expected.map(\.relevant))
      for (one, all) in zip(cases, expected) {
        #expect(Set(one.candidates).isSubset(of: all.candidates))
        #expect(Set(one.candidates).count == one.candidates.count)
        #expect(one.candidates.count == min(count, all.candidates.count))
        hasAll = hasAll || one.candidates.count < count
      }
    }
    #expect(hasAll, "no user has too few items left")
  }

  /// Over seeds, every item that can be drawn is drawn as often as any other.
  @Test func drawsAreUniform() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let rounds = 4000
    var counts: [[Int]: Int] = [:]
    var pools: [[Int]: Set<Int>] = [:]
    let everything = try Self.sampled(
      dataset, .test, .train, CandidateSampling(count: dataset.items - 1))
    let some = everything.prefix(3)
    for one in some { pools[[one.user, one.relevant]] = Set(one.candidates) }
    let shard = try (0..<dataset.shardCount).map { try dataset.shard($0) }
      .first { $0.users.contains(some[0].user) }
    let users = RankingShard(
      try #require(shard), judgedBy: try #require(shard).test, mask: .train)
    for seed in 0..<rounds {
      let sampling = CandidateSampling(count: 5, seed: UInt64(seed))
      let one = try #require(
        Self.cases(SampledCases(users, itemCount: dataset.items, sampling: sampling)).first)
      for item in one.candidates { counts[[one.user, one.relevant, item], default: 0] += 1 }
    }
    let first = some[0]
    let pool = try #require(pools[[first.user, first.relevant]])
    #expect(pool.count > 8)
    let share = 5 / Double(pool.count)
    // Six standard deviations of a binomial count: one in 10⁹ for each of at most 28 items.
    let bound = 6 * (Double(rounds) * share * (1 - share)).squareRoot()
    for item in pool {
      let count = counts[[first.user, first.relevant, item]] ?? 0
      #expect(abs(Double(count) - Double(rounds) * share) < bound)
    }
  }

  @Test(arguments: EvaluationSplit.allCases, RankingMask.allCases)
  func figuresOfDrawnCandidatesAreTheirDefinitions(
    split: EvaluationSplit, mask: RankingMask
  ) throws {
    guard split != .valid || mask != .trainAndValid else { return }
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let sampling = CandidateSampling(count: 9, seed: 4)
    let cutoffs = [1, 3, 5, 40]
    let expected = Self.oracle(
      try Self.sampled(dataset, split, mask, sampling), cutoffs: cutoffs,
      score: FullRankerTests.score)
    #expect(try #require(expected.ties) > 0)
    for tables in TablePlacement.allCases {
      let alone = try Self.onRanks(1, dataset, tables: tables) { ranker, _ in
        try ranker.evaluate(split, cutoffs: cutoffs, mask: mask, sampling: sampling)
      }[0]
      try Self.expectClose(alone, expected)
      for ranks in [2, 3, 4, 8] {
        let all = try Self.onRanks(ranks, dataset, tables: tables) { ranker, _ in
          try ranker.evaluate(split, cutoffs: cutoffs.reversed(), mask: mask, sampling: sampling)
        }
        #expect(all == [RankingMetrics](repeating: alone, count: ranks), "\(ranks) ranks")
      }
    }
  }

  /// Among `N` candidates whose scores mean nothing, the relevant item is one of the first `k` of
  /// `N + 1` with probability `k / (N + 1)`.
  @Test func scoresWithoutMeaningHitByChance() throws {
    var (draws, block) = (Draws(seed: 11), CandidateBlock())
    let (count, candidates, cutoffs) = (20_000, 99, [1, 10, 50])
    var listed = ListedCases()
    for user in 0..<count {
      listed.append(
        user: UInt32(user), relevant: 0, candidates: (1...candidates).map { UInt32($0) })
    }
    while listed.next(into: &block) {}
    block.closeShard()
    let scores = block.items.map { _ in Float(draws.word() >> 40) }
    var sums = [RankingSums(cutoffs: cutoffs)]
    #expect(unsafe scores.withUnsafeBufferPointer { unsafe block.addFigures($0, to: &sums) } == nil)
    sums[0].add(users: count)
    let metrics = try CandidateRanking.metrics(
      sums, cutoffs: cutoffs, tree: ShardTree(shardCount: 1, rankCount: 1), group: SoloGroup())
    for k in cutoffs {
      let chance = Double(k) / Double(candidates + 1)
      // Five standard deviations, and ties of scores of 24 bits, which count in favour.
      let bound =
        5 * (chance * (1 - chance) / Double(count)).squareRoot() + Double(candidates) * 0x1p-24
      #expect(abs(try #require(metrics.figures[k]?.hitRate) - chance) < bound)
    }
  }

  @Test func tooManyCandidatesAreRefused() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    func refusal(_ count: Int) throws -> Failure? {
      try Self.onRanks(1, dataset) { ranker, _ in
        failure {
          _ = try ranker.evaluate(
            .test, cutoffs: [1], mask: .train, sampling: CandidateSampling(count: count))
        }
      }[0]
    }
    #expect(try refusal(28) == nil)
    #expect(
      try refusal(29)
        == .usage(
          "29 candidates beside the relevant item, but \(dataset.directory) has 29 items; "
            + "ask for fewer"))
  }
}
