import Evaluation
import Fabric
import Foundation
import Testing

/// Figures of rankings, against their definitions.
@Suite struct RankingSumsTests {
  /// One user: what a ranking gave and what was relevant.
  private struct Case: Sendable {
    var ranked: [UInt32]
    var relevant: [UInt32]
    var firstRank: Int

    func add(to sums: inout RankingSums) {
      unsafe ranked.withUnsafeBufferPointer { ranked in
        unsafe relevant.withUnsafeBufferPointer { relevant in
          unsafe sums.add(ranked: ranked, relevant: relevant, firstRank: firstRank)
        }
      }
    }

    /// The definitions, term by term.
    func figures(_ k: Int) -> RankingMetrics.Figures {
      let hits = ranked.prefix(k).map { relevant.contains($0) }
      func discount(_ rank: Int) -> Double { 1 / log2(Double(rank + 1)) }
      let gain = hits.indices.reduce(0) { $0 + (hits[$1] ? discount($1 + 1) : 0) }
      let most = min(k, relevant.count)
      let precisions = hits.indices.filter { hits[$0] }.map { place in
        Double(hits[...place].count { $0 }) / Double(place + 1)
      }
      let count = Double(hits.count { $0 })
      return RankingMetrics.Figures(
        recall: count / Double(relevant.count),
        ndcg: gain / (1...most).reduce(0) { $0 + discount($1) },
        hitRate: count > 0 ? 1 : 0, precision: count / Double(k),
        averagePrecision: precisions.reduce(0, +) / Double(most))
    }
  }

  private static func metrics(
    _ shards: [[Case]], cutoffs: [Int], ranks: Int
  ) throws -> [RankingMetrics] {
    try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: shards.count, rankCount: ranks)
      let sums = tree.shards(of: group.rank).map { shard in
        var sums = RankingSums(cutoffs: cutoffs)
        for user in shards[shard] { user.add(to: &sums) }
        return sums
      }
      return try FullRanking.metrics(sums, cutoffs: cutoffs, tree: tree, group: group)
    }
  }

  /// Items 7, 3, 9, 1 for a user to whom 1, 3 and 8 are relevant; 8 ranks further down.
  @Test func aHandMadeRankingHasItsFigures() throws {
    let user = Case(ranked: [7, 3, 9, 1], relevant: [1, 3, 8], firstRank: 2)
    let metrics = try #require(
      try Self.metrics([[user]], cutoffs: [1, 2, 4], ranks: 1).first)
    #expect(metrics.users == 1 && metrics.relevant == 3)
    #expect(metrics.mrr == 0.5)
    #expect(
      metrics.figures[1]
        == RankingMetrics.Figures(
          recall: 0, ndcg: 0, hitRate: 0, precision: 0, averagePrecision: 0))
    let second = try #require(metrics.figures[2])
    #expect(second.recall == 1.0 / 3 && second.precision == 0.5 && second.hitRate == 1)
    #expect(second.averagePrecision == 0.5 / 2)
    // 1 / log₂ 3 = 0.6309…, over 1 + 0.6309….
    #expect(abs(second.ndcg - 0.386_852_807) < 1e-9)
    let fourth = try #require(metrics.figures[4])
    #expect(fourth.recall == 2.0 / 3 && fourth.precision == 0.5)
    #expect(fourth.averagePrecision == (1.0 / 2 + 2.0 / 4) / 3)
    // (0.6309… + 1 / log₂ 5) / (1 + 0.6309… + 0.5).
    #expect(abs(fourth.ndcg - 0.498_189_257) < 1e-9)
  }

  @Test func perfectAndHopelessRankingsAreTheEnds() throws {
    let perfect = Case(ranked: [4, 2, 9], relevant: [2, 4, 9], firstRank: 1)
    let hopeless = Case(ranked: [4, 2, 9], relevant: [1], firstRank: 50)
    let best = try #require(try Self.metrics([[perfect]], cutoffs: [3], ranks: 1).first)
    #expect(
      best.figures[3]
        == RankingMetrics.Figures(
          recall: 1, ndcg: 1, hitRate: 1, precision: 1, averagePrecision: 1))
    #expect(best.mrr == 1)
    let worst = try #require(try Self.metrics([[hopeless]], cutoffs: [3], ranks: 1).first)
    #expect(
      worst.figures[3]
        == RankingMetrics.Figures(
          recall: 0, ndcg: 0, hitRate: 0, precision: 0, averagePrecision: 0))
    #expect(worst.mrr == 0.02)
  }

  /// Cut-offs beyond the ranking divide by what was asked for.
  @Test func rankingsMayBeShorterThanTheCutoff() throws {
    let user = Case(ranked: [5, 6], relevant: [5, 6], firstRank: 1)
    let figures = try #require(
      try Self.metrics([[user]], cutoffs: [10], ranks: 1).first?.figures[10])
    #expect(figures.recall == 1 && figures.ndcg == 1 && figures.averagePrecision == 1)
    #expect(figures.precision == 0.2)
  }

  private static func random(shards: Int) -> [[Case]] {
    var words = Words(3)
    return (0..<shards).map { shard in
      (0..<(shard * 5 % 9)).map { _ in
        let items = (0..<40).map { UInt32($0) }.shuffled(using: &words)
        let relevant = Set(
          (0..<Int.random(in: 1...12, using: &words)).map { _ in
            UInt32.random(in: 0..<40, using: &words)
          })
        let first = items.firstIndex { relevant.contains($0) } ?? 0
        return Case(
          ranked: Array(items.prefix(15)), relevant: relevant.sorted(), firstRank: first + 1)
      }
    }
  }

  @Test func meansAreThoseOfTheDefinitionsOnAnyRanks() throws {
    let shards = Self.random(shards: 8)
    let users = shards.flatMap { $0 }
    let alone = try #require(try Self.metrics(shards, cutoffs: [15, 1, 4, 4], ranks: 1).first)
    #expect(alone.users == users.count)
    #expect(alone.relevant == users.reduce(0) { $0 + $1.relevant.count })
    #expect(alone.figures.keys.sorted() == [1, 4, 15])
    // Each user's figure is within 20 roundings of its definition, a mean adds one for each user;
    // all are at most 1.
    let bound = Double(users.count + 20) * 0x1p-52
    func mean(_ figure: (Case) -> Double) -> Double {
      users.reduce(0) { $0 + figure($1) } / Double(users.count)
    }
    #expect(abs(try #require(alone.mrr) - mean { 1 / Double($0.firstRank) }) <= bound)
    for (k, figures) in alone.figures {
      #expect(abs(figures.recall - mean { $0.figures(k).recall }) <= bound)
      #expect(abs(figures.ndcg - mean { $0.figures(k).ndcg }) <= bound)
      #expect(abs(figures.hitRate - mean { $0.figures(k).hitRate }) <= bound)
      #expect(abs(figures.precision - mean { $0.figures(k).precision }) <= bound)
      #expect(abs(figures.averagePrecision - mean { $0.figures(k).averagePrecision }) <= bound)
    }
    for ranks in [2, 3, 4, 8] {
      let others = try Self.metrics(shards, cutoffs: [1, 4, 15], ranks: ranks)
      #expect(others == [RankingMetrics](repeating: alone, count: ranks))
    }
  }

  @Test func withoutUsersNothingIsDefined() throws {
    for metrics in try Self.metrics([[], []], cutoffs: [5], ranks: 2) {
      #expect(metrics == RankingMetrics(figures: [:], mrr: nil, users: 0, relevant: 0))
    }
  }

  @Test func figuresHaveTheirNamesAsJSON() throws {
    let figures = RankingMetrics.Figures(
      recall: 0.25, ndcg: 0.5, hitRate: 1, precision: 0.125, averagePrecision: 0.75)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    func text(_ metrics: RankingMetrics) throws -> String {
      String(decoding: try encoder.encode(metrics), as: UTF8.self)
    }
    #expect(
      try text(RankingMetrics(figures: [20: figures], mrr: 0.0625, users: 3, relevant: 4))
        == #"{"hit_rate@20":1,"map@20":0.75,"mrr":0.0625,"ndcg@20":0.5,"precision@20":0.125,"#
        + #""recall@20":0.25,"relevant":4,"users":3}"#)
    #expect(
      try text(RankingMetrics(figures: [:], mrr: nil, users: 0, relevant: 0))
        == #"{"mrr":null,"relevant":0,"users":0}"#)
  }

  @Test func whatIsNoRankingIsRefused() async {
    await #expect(processExitsWith: .failure) { _ = RankingSums(cutoffs: []) }
    await #expect(processExitsWith: .failure) { _ = RankingSums(cutoffs: [3, 0]) }
    await #expect(processExitsWith: .failure) {
      var sums = RankingSums(cutoffs: [1])
      let none = unsafe UnsafeBufferPointer<UInt32>(start: nil, count: 0)
      unsafe sums.add(ranked: none, relevant: none, firstRank: 1)
    }
  }
}

@Suite struct ItemsByUserTests {
  private func group(
    users: Range<Int>, _ rows: [(UInt32, UInt32)], include: (Int) -> Bool = { _ in true }
  ) -> ItemsByUser {
    let (rowUsers, rowItems) = (rows.map(\.0), rows.map(\.1))
    return unsafe rowUsers.withUnsafeBufferPointer { rowUsers in
      unsafe rowItems.withUnsafeBufferPointer { rowItems in
        unsafe ItemsByUser(users: users, rowUsers: rowUsers, rowItems: rowItems, include: include)
      }
    }
  }

  @Test func listsAscendWithoutRepetitions() {
    let rows: [(UInt32, UInt32)] = [(5, 9), (5, 2), (5, 9), (5, 2), (7, 1), (8, 3), (8, 0)]
    let lists = group(users: 4..<10, rows)
    #expect((4..<10).map { Array(lists[$0]) } == [[], [2, 9], [], [1], [0, 3], []])
    // The row of item 2 that counts is the second of them.
    let some = group(users: 4..<10, rows) { ![1, 4].contains($0) }
    #expect((4..<10).map { Array(some[$0]) } == [[], [2, 9], [], [], [0, 3], []])
    #expect(group(users: 3..<3, []).items.isEmpty)
  }

  @Test func rowsOfOthersAreRefused() async {
    await #expect(processExitsWith: .failure) {
      _ = ItemsByUserTests().group(users: 0..<2, [(1, 0), (0, 0)])
    }
    await #expect(processExitsWith: .failure) {
      _ = ItemsByUserTests().group(users: 0..<2, [(2, 0)])
    }
  }
}

@Suite struct MissedItemTests {
  /// Two relevant items, one of them found at rank 2, and two that the mask hides.
  @Test func missedItemsCountAsRelevant() throws {
    var sums = RankingSums(cutoffs: [2])
    let (ranked, relevant): ([UInt32], [UInt32]) = ([7, 3], [3, 5])
    unsafe ranked.withUnsafeBufferPointer { ranked in
      unsafe relevant.withUnsafeBufferPointer { relevant in
        unsafe sums.add(ranked: ranked, relevant: relevant, missed: 2, firstRank: 2)
      }
    }
    let metrics = try FullRanking.metrics(
      [sums], cutoffs: [2], tree: ShardTree(shardCount: 1, rankCount: 1), group: SoloGroup())
    let figures = try #require(metrics.figures[2])
    #expect(figures.recall == 0.25)
    #expect(figures.precision == 0.5)
    #expect(figures.averagePrecision == 0.25)
    // d(2) / (d(1) + d(2)): the ideal ranking has a relevant item at both ranks.
    #expect(figures.ndcg == (1 / log2(3)) / (1 + 1 / log2(3)))
    #expect(metrics.mrr == 0.5)
    #expect(metrics.relevant == 4)
  }

  /// A user all of whose relevant items are hidden counts, with zeros.
  @Test func nothingButMissedItemsIsZero() throws {
    var sums = RankingSums(cutoffs: [1])
    let ranked: [UInt32] = [7]
    unsafe ranked.withUnsafeBufferPointer { ranked in
      let none = unsafe UnsafeBufferPointer<UInt32>(start: nil, count: 0)
      unsafe sums.add(ranked: ranked, relevant: none, missed: 3, firstRank: 0)
    }
    let metrics = try FullRanking.metrics(
      [sums], cutoffs: [1], tree: ShardTree(shardCount: 1, rankCount: 1), group: SoloGroup())
    #expect(metrics.users == 1)
    #expect(metrics.mrr == 0)
    #expect(metrics.figures[1]?.recall == 0)
  }
}
