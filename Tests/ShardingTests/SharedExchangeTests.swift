import Fabric
import Kernels
import Sharding
import Testing

/// Memory that ranks share, and messages between machines, give the bits of messages for all.
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
    /// Those of them that this rank writes.
    var written: Set<UInt32> = []
  }

  private static func shared(
    _ group: any ProcessGroup, _ tree: ShardTree, _ owners: Owners, ordered: Bool = true
  ) throws -> SharedExchange {
    let ownership = owners.ownership(tree)
    return SharedExchange(
      group: group, ownership: ownership,
      table: try SharedRows(ownership: ownership, stride: stride, group: group), stride: stride,
      shardCount: shardCount, ordered: ordered)
  }

  /// All problems, one after another, through one exchange: what every rank saw in each round. No
  /// layout stands for messages of all ranks.
  private static func seen(
    ranks: Int, _ layout: MachineLayout?, _ owners: Owners, ordered: Bool
  ) throws -> [[Seen]] {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let machines = (layout ?? .apart).machines(ranks: ranks)
    return try LocalGroup.run(machines: machines) { group in
      let exchange: any RowExchange =
        layout == nil
        ? MessageExchange(
          group: group, ownership: owners.ownership(tree), stride: stride,
          shardCount: shardCount, ordered: ordered)
        : try shared(group, tree, owners, ordered: ordered)
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
          let written = exchange.writtenRows.flatMap { RowList($0, stride: stride).keys }
          seen.written = Set(written)
          #expect(seen.written.count == written.count)
          // As the dense reduction of a step: nobody begins the next while others read.
          try group.barrier()
          return seen
        }
      }
    }
  }

  @Test(arguments: rankCounts, MachineLayout.allCases)
  func sumsHaveTheBitsOfMessages(ranks: Int, layout: MachineLayout) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    for owners in Owners.allCases {
      for ordered in [true, false] {
        let shared = try Self.seen(ranks: ranks, layout, owners, ordered: ordered)
        let sent = try Self.seen(ranks: ranks, nil, owners, ordered: ordered)
        for (round, problem) in Self.problems.enumerated() {
          let all = RowList.joined(shared.map { $0[round].sums })
          #expect(all.keys == problem.expected.keys)
          if ordered { #expect(all.rows.bits == problem.expected.rows.bits) }
          for rank in 0..<ranks {
            let (mine, theirs) = (shared[rank][round].sums, sent[rank][round].sums)
            #expect(mine.keys == theirs.keys, "round \(round), rank \(rank)")
            #expect(
              mine.keys.allSatisfy { owners.ownership(tree).rows(of: rank).contains(Int($0)) })
            // Without the tree, blocks of a machine are added before those of others.
            guard ordered || layout == .one else { continue }
            #expect(mine.rows.bits == theirs.rows.bits, "round \(round), rank \(rank)")
          }
        }
      }
    }
  }

  @Test(arguments: rankCounts, MachineLayout.allCases)
  func everyRankSeesWhatTheOwnersMadeOfTheirSums(ranks: Int, layout: MachineLayout) throws {
    let machines = layout.machines(ranks: ranks)
    for owners in Owners.allCases {
      let seen = try Self.seen(ranks: ranks, layout, owners, ordered: true)
      for (round, problem) in Self.problems.enumerated() {
        for rank in 0..<ranks {
          let mine = seen[rank][round]
          #expect(mine.spread.keys == problem.expected.keys, "round \(round), rank \(rank)")
          #expect(mine.spread.rows.bits == problem.expected.rows.map { 2 * $0 }.bits)
          // One list for each owner, read where it is or landed.
          #expect(mine.listCount == ranks)
        }
        // Each copy of the table is written by its machine's ranks, each row by one.
        for machine in Set(machines) {
          let written = machines.indices.filter { machines[$0] == machine }
            .flatMap { seen[$0][round].written }
          #expect(written.sorted() == problem.expected.keys)
        }
      }
    }
  }

  /// What owners change reaches the copy of every machine, and nothing else changes.
  @Test(arguments: rankCounts, MachineLayout.allCases)
  func publishedRowsReachEveryCopy(ranks: Int, layout: MachineLayout) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    let rowCount = GradientProblem.itemCount
    @Sendable func changed(_ rank: Int, _ round: Int) -> [Int] {
      ownership.rows(of: rank).filter { ($0 * 7 + round) % 3 != 0 }
    }
    let seen = try LocalGroup.run(machines: layout.machines(ranks: ranks)) { group in
      let shared = try SharedRows(ownership: ownership, stride: Self.stride, group: group)
      let exchange = SharedExchange(
        group: group, ownership: ownership, table: shared, stride: Self.stride,
        shardCount: shardCount, ordered: true)
      let table = RowTable(
        layout: RowLayout(factors: Self.stride, hasBias: false), held: 0..<rowCount,
        owned: ownership.rows(of: group.rank), optimizer: .gradientDescent, shared: shared)
      _ = try exchange.makePartials(capacity: GradientProblem.partialCapacity)
      return try withExtendedLifetime(table) {
        try (1...4).map { round in
          let keys = AlignedBuffer(changed(group.rank, round).map { UInt32($0) })
          for key in keys.values {
            for column in 0..<Self.stride {
              unsafe table.row(Int(key))[column] = Float(1000 * round + 24 * Int(key) + column)
            }
          }
          unsafe try exchange.publish(keys: keys.pointer, count: keys.count, of: table)
          try withExtendedLifetime(keys) { try exchange.settle() }
          let values = table.weights.values
          // As in a step: nobody writes the next while others read.
          try group.barrier()
          return values
        }
      }
    }
    var expected = [Float](repeating: 0, count: rowCount * Self.stride)
    for round in 1...4 {
      for key in (0..<ranks).flatMap({ changed($0, round) }) {
        for column in 0..<Self.stride {
          expected[Self.stride * key + column] = Float(1000 * round + 24 * key + column)
        }
      }
      for rank in 0..<ranks { #expect(seen[rank][round - 1] == expected, "rank \(rank)") }
    }
  }

  /// What each rank called and sent: making room, adding, spreading, publishing, settling.
  private static func traffic(ranks: Int, _ layout: MachineLayout) throws -> [[Traffic]] {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    return try LocalGroup.run(machines: layout.machines(ranks: ranks)) { group in
      let exchange = try Self.shared(group, tree, .uneven)
      #expect(exchange.isShared)
      let table = RowTable(
        layout: RowLayout(factors: Self.stride, hasBias: false),
        held: 0..<GradientProblem.itemCount, owned: 0..<0, optimizer: .gradientDescent)
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
      return zip(seen.dropFirst(), seen).map { now, before in
        var difference = Traffic()
        difference.collectives = now.collectives - before.collectives
        difference.bytesSent = now.bytesSent - before.bytesSent
        return difference
      }
    }
  }

  /// One fence for each move, and no bytes but the capacities, once.
  @Test(arguments: rankCounts) func nothingIsSentOnOneMachine(ranks: Int) throws {
    for rank in try Self.traffic(ranks: ranks, .one) {
      #expect(rank.map(\.collectives) == [2, 1, 1, 1, 0])
      #expect(rank.map(\.bytesSent) == [ranks == 1 ? 0 : 8, 0, 0, 0, 0])
    }
  }

  /// With other machines a round of messages more. Their bytes are those of page 11.
  @Test(arguments: MachineLayout.several) func messagesGoBetweenMachines(
    layout: MachineLayout
  ) throws {
    for rank in try Self.traffic(ranks: 5, layout) {
      #expect(rank.map(\.collectives) == [4, 2, 2, 1, 1])
      #expect(rank[0].bytesSent == 8 && rank[4].bytesSent == 0)
      // Owners send the same rows for either reason.
      #expect(rank[2].bytesSent == rank[3].bytesSent && rank[2].bytesSent >= 8)
    }
  }

  @Test(arguments: MachineLayout.allCases)
  func aRankThatLeavesEndsTheWaitingOfTheOthers(layout: MachineLayout) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: 3)
    #expect(throws: CallMismatch.self) {
      _ = try LocalGroup.run(machines: layout.machines(ranks: 3)) { group in
        let exchange = try Self.shared(group, tree, .uneven)
        let partials = try exchange.makePartials(capacity: GradientProblem.partialCapacity)
        guard group.rank != 1 else { return }
        try withExtendedLifetime(partials) { _ = try exchange.reduceToOwners(partials) }
      }
    }
  }
}
