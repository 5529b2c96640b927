import Fabric
import Kernels
import Sharding
import Testing

/// Memory that ranks share gives the bits of messages.
@Suite struct SharedExchangeTests {
  /// Who owns the 23 items.
  enum Owners: CaseIterable, Sendable {
    /// As ``GradientProblem`` has them.
    case uneven
    /// All with the rank of one shard.
    case one

    func ownership(_ tree: ShardTree) -> RowOwnership {
      switch self {
      case .uneven: GradientProblem.ownership(tree)
      case .one:
        RowOwnership(
          shardStarts: (0...shardCount).map { $0 <= 5 ? 0 : GradientProblem.itemCount },
          tree: tree)
      }
    }
  }

  private static let stride = 24

  /// Of changing sizes, from nothing to everything; of some only the last ranks have rows.
  private static let problems = [
    GradientProblem(stride: stride, seed: 1),
    GradientProblem(stride: stride, seed: 2, density: .max),
    GradientProblem(stride: stride, seed: 3, density: 1),
    GradientProblem(stride: stride, seed: 4, density: 9),
    GradientProblem(stride: stride, seed: 5, density: 2, absent: 0...12),
    GradientProblem(stride: stride, seed: 6, density: 1, absent: 3...15),
  ]

  /// What one rank saw in one round.
  private struct Seen: Equatable, Sendable {
    /// The sums it owns.
    var sums = RowList()
    /// Twice the sums of all ranks.
    var spread = RowList()
    /// How many lists they came in.
    var listCount = 0
  }

  private static func exchange(
    _ group: any ProcessGroup, _ tree: ShardTree, _ owners: Owners, ordered: Bool
  ) throws -> any RowExchange {
    let ownership = owners.ownership(tree)
    guard group.machines.machineCount == 1 else {
      return MessageExchange(
        group: group, ownership: ownership, stride: stride, shardCount: shardCount,
        ordered: ordered)
    }
    return SharedExchange(
      group: group, ownership: ownership,
      table: try SharedRows(ownership: ownership, stride: stride, group: group), stride: stride,
      shardCount: shardCount, ordered: ordered)
  }

  /// All problems, one after another, through one exchange: what every rank saw in each round.
  private static func seen(
    ranks: Int, ranksPerMachine: Int?, _ owners: Owners, ordered: Bool
  ) throws -> [[Seen]] {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    return try LocalGroup.run(ranks: ranks, ranksPerMachine: ranksPerMachine) { group in
      let exchange = try exchange(group, tree, owners, ordered: ordered)
      let partials = try exchange.makePartials(capacity: GradientProblem.partialCapacity)
      return try withExtendedLifetime((exchange, partials)) {
        try problems.map { problem in
          var seen = Seen()
          problem.write(partials, of: group.rank, tree)
          let own = try exchange.reduceToOwners(partials)
          seen.sums = RowList(own, stride: stride)
          // A step turns its own sums before it tells them to others.
          for index in 0..<own.count * stride { unsafe own.rows[index] *= 2 }
          let lists = try exchange.spread(own)
          seen.spread = .joined(lists.map { RowList($0, stride: stride) })
          seen.listCount = lists.count
          // As the dense reduction of a step: nobody begins the next while others read.
          try group.barrier()
          return seen
        }
      }
    }
  }

  @Test(arguments: rankCounts, Owners.allCases)
  func sumsHaveTheBitsOfMessages(ranks: Int, owners: Owners) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    for ordered in [true, false] {
      let shared = try Self.seen(ranks: ranks, ranksPerMachine: nil, owners, ordered: ordered)
      let sent = try Self.seen(ranks: ranks, ranksPerMachine: 1, owners, ordered: ordered)
      for (round, problem) in Self.problems.enumerated() {
        let all = RowList.joined(shared.map { $0[round].sums })
        #expect(all.keys == problem.expected.keys)
        if ordered { #expect(all.rows.bits == problem.expected.rows.bits) }
        for rank in 0..<ranks {
          let (mine, theirs) = (shared[rank][round], sent[rank][round])
          #expect(mine.sums.keys == theirs.sums.keys, "round \(round), rank \(rank)")
          #expect(mine.sums.rows.bits == theirs.sums.rows.bits, "round \(round), rank \(rank)")
          #expect(
            mine.sums.keys.allSatisfy { owners.ownership(tree).rows(of: rank).contains(Int($0)) })
        }
      }
    }
  }

  @Test(arguments: rankCounts, Owners.allCases)
  func everyRankSeesWhatTheOwnersMadeOfTheirSums(ranks: Int, owners: Owners) throws {
    let shared = try Self.seen(ranks: ranks, ranksPerMachine: nil, owners, ordered: true)
    let sent = try Self.seen(ranks: ranks, ranksPerMachine: 1, owners, ordered: true)
    for (round, problem) in Self.problems.enumerated() {
      for rank in 0..<ranks {
        let (mine, theirs) = (shared[rank][round].spread, sent[rank][round].spread)
        #expect(mine.keys == problem.expected.keys, "round \(round), rank \(rank)")
        #expect(mine.rows.bits == problem.expected.rows.map { 2 * $0 }.bits)
        #expect(mine.rows.bits == theirs.rows.bits && mine.keys == theirs.keys)
        // One list for each owner: nothing is copied.
        #expect(shared[rank][round].listCount == ranks)
      }
    }
  }

  /// One fence for each move, and no bytes but the capacities, once.
  @Test(arguments: rankCounts) func nothingIsSent(ranks: Int) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let traffic = try LocalGroup.run(ranks: ranks) { group in
      let exchange = try Self.exchange(group, tree, .uneven, ordered: true)
      #expect(exchange.isShared)
      let table = RowTable(
        layout: RowLayout(factors: Self.stride, hasBias: false), held: 0..<1, owned: 0..<1,
        optimizer: .gradientDescent)
      var seen = [group.traffic]
      let partials = try exchange.makePartials(capacity: GradientProblem.partialCapacity)
      try withExtendedLifetime((exchange, partials)) {
        seen.append(group.traffic)
        Self.problems[0].write(partials, of: group.rank, tree)
        let own = try exchange.reduceToOwners(partials)
        seen.append(group.traffic)
        _ = try exchange.spread(own)
        seen.append(group.traffic)
        unsafe try exchange.publish(keys: own.keys, count: own.count, of: table)
        seen.append(group.traffic)
        try exchange.settle()
        seen.append(group.traffic)
      }
      return seen
    }
    for rank in traffic {
      let calls = zip(rank.dropFirst(), rank).map { $0.collectives - $1.collectives }
      #expect(calls == [3, 1, 1, 1, 0])
      let bytes = zip(rank.dropFirst(), rank).map { $0.bytesSent - $1.bytesSent }
      #expect(bytes == [ranks == 1 ? 0 : 8, 0, 0, 0, 0])
    }
  }

  @Test func aRankThatLeavesEndsTheWaitingOfTheOthers() throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: 3)
    #expect(throws: CallMismatch.self) {
      _ = try LocalGroup.run(ranks: 3) { group in
        let exchange = try Self.exchange(group, tree, .uneven, ordered: true)
        let partials = try exchange.makePartials(capacity: GradientProblem.partialCapacity)
        guard group.rank != 1 else { return }
        try withExtendedLifetime(partials) { _ = try exchange.reduceToOwners(partials) }
      }
    }
  }
}
