import Fabric
import Kernels
import Sharding
import Testing

@Suite struct RowExchangeTests {
  private static let layout = RowLayout(factors: 10, hasBias: true)
  private static let stride = layout.stride

  /// A row of the table, or of the second set.
  private static func row(_ key: Int, salt: Int = 0) -> [Float] {
    (0..<stride).map { Float(1000 * salt + 100 * key + $0) }
  }

  /// The rows that a rank asks for: unevenly many, none on the last rank of several.
  private static func wanted(by rank: Int, of ranks: Int, round: Int) -> [UInt32] {
    guard ranks == 1 || rank < ranks - 1 else { return [] }
    var draws = Draws(seed: UInt64(10 * rank + round))
    return (0..<UInt32(GradientProblem.itemCount)).filter { _ in
      draws.integer(below: 1 + rank % 3 + (round + 1) % 2) == 0
    }
  }

  /// The owned rows that the second set holds.
  private static func companions(_ owned: Range<Int>) -> [UInt32] {
    owned.filter { $0 % 3 != 1 }.map { UInt32($0) }
  }

  private static func table(_ held: Range<Int>, owned: Range<Int>) -> RowTable {
    let table = RowTable(layout: layout, held: held, owned: owned, optimizer: .gradientDescent)
    for key in held {
      for (column, value) in row(key).enumerated() { unsafe table.row(key)[column] = value }
    }
    return table
  }

  private static func withRows<Result>(
    _ keys: [UInt32], salt: Int, _ body: (KeyedRows) throws -> Result
  ) rethrows -> Result {
    let keyBuffer = AlignedBuffer(keys)
    let rowBuffer = AlignedBuffer(keys.flatMap { row(Int($0), salt: salt) })
    return try withExtendedLifetime((keyBuffer, rowBuffer)) {
      unsafe try body(
        KeyedRows(keys: keyBuffer.pointer, rows: rowBuffer.pointer, count: keys.count))
    }
  }

  @Test(arguments: rankCounts, [false, true])
  func fetchedRowsAreThoseOfTheirOwners(ranks: Int, withCompanion: Bool) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let fetched = try LocalGroup.run(ranks: ranks) { group in
      let owned = GradientProblem.ownership(tree).rows(of: group.rank)
      let table = Self.table(owned, owned: owned)
      let exchange = GradientProblem.exchange(group, tree, stride: Self.stride)
      return try (0..<3).map { round in
        let keys = Self.wanted(by: group.rank, of: ranks, round: round)
        let keyBuffer = AlignedBuffer(keys)
        let size = keys.count * Self.stride
        let (target, second) = (
          AlignedBuffer([Float](repeating: .nan, count: size)),
          AlignedBuffer([Float](repeating: .nan, count: size))
        )
        try Self.withRows(Self.companions(owned), salt: 7) { companion in
          unsafe try exchange.fetch(
            keys: keyBuffer.pointer, count: keys.count, from: table,
            companion: withCompanion ? companion : nil, into: target.pointer,
            companionTarget: withCompanion ? second.pointer : nil)
        }
        return withExtendedLifetime((keyBuffer, table)) { [target.values, second.values] }
      }
    }
    for rank in 0..<ranks {
      for round in 0..<3 {
        let keys = Self.wanted(by: rank, of: ranks, round: round).map { Int($0) }
        #expect(fetched[rank][round][0] == keys.flatMap { Self.row($0) })
        guard withCompanion else { continue }
        let expected = keys.flatMap {
          $0 % 3 != 1 ? Self.row($0, salt: 7) : [Float](repeating: 0, count: Self.stride)
        }
        #expect(fetched[rank][round][1] == expected)
      }
    }
  }

  /// The last rank holds nothing to spread when there are several.
  private static func spreadKeys(_ rank: Int, _ ranks: Int, _ tree: ShardTree) -> [UInt32] {
    guard ranks == 1 || rank < ranks - 1 else { return [] }
    return GradientProblem.ownership(tree).rows(of: rank).filter { $0 % 4 != 2 }.map {
      UInt32($0)
    }
  }

  @Test(arguments: rankCounts) func spreadRowsReachEverybodyInOrder(ranks: Int) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let results = try LocalGroup.run(ranks: ranks) { group in
      let exchange = GradientProblem.exchange(group, tree, stride: Self.stride)
      return try (0..<2).map { round in
        try Self.withRows(Self.spreadKeys(group.rank, ranks, tree), salt: round) { rows in
          try withExtendedLifetime(exchange) {
            let lists = try exchange.spread(rows)
            #expect(lists.count == 1)
            return RowList(lists[0], stride: Self.stride)
          }
        }
      }
    }
    let keys = (0..<ranks).flatMap { Self.spreadKeys($0, ranks, tree) }
    #expect(keys == keys.sorted())
    for result in results {
      for round in 0..<2 {
        #expect(result[round].keys == keys)
        #expect(result[round].rows == keys.flatMap { Self.row(Int($0), salt: round) })
      }
    }
  }

  @Test(arguments: rankCounts) func publishedRowsReplaceThoseOfAllReplicas(ranks: Int) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let all = 0..<GradientProblem.itemCount
    let tables = try LocalGroup.run(ranks: ranks) { group in
      let owned = GradientProblem.ownership(tree).rows(of: group.rank)
      let table = Self.table(all, owned: owned)
      let exchange = GradientProblem.exchange(group, tree, stride: Self.stride)
      let changed = Self.spreadKeys(group.rank, ranks, tree)
      try Self.withRows(changed, salt: 3) { rows in
        unsafe table.replace(index: rows.keys, count: rows.count, with: rows.rows)
        unsafe try exchange.publish(keys: rows.keys, count: rows.count, of: table)
      }
      return table.weights.values
    }
    let changed = Set((0..<ranks).flatMap { Self.spreadKeys($0, ranks, tree) })
    let expected = all.flatMap { Self.row($0, salt: changed.contains(UInt32($0)) ? 3 : 0) }
    #expect(changed.count > 5 && changed.count < all.count)
    for table in tables { #expect(table == expected) }
  }

  @Test(arguments: rankCounts) func trafficIsAsDocumented(ranks: Int) throws {
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    let ownership = GradientProblem.ownership(tree)
    let traffic = try LocalGroup.run(ranks: ranks) { group in
      let owned = ownership.rows(of: group.rank)
      let table = Self.table(0..<GradientProblem.itemCount, owned: owned)
      let exchange = GradientProblem.exchange(group, tree, stride: Self.stride)
      let keys = AlignedBuffer(Self.wanted(by: group.rank, of: ranks, round: 0))
      let target = AlignedBuffer<Float>(count: 2 * keys.count * Self.stride)
      var seen: [Traffic] = []
      for companion in [nil, unsafe KeyedRows(keys: keys.pointer, rows: target.pointer, count: 0)] {
        unsafe try exchange.fetch(
          keys: keys.pointer, count: keys.count, from: table, companion: companion,
          into: target.pointer, companionTarget: target.pointer + keys.count * Self.stride)
        seen.append(group.traffic)
      }
      try Self.withRows(Self.spreadKeys(group.rank, ranks, tree), salt: 1) { rows in
        _ = try exchange.spread(rows)
        seen.append(group.traffic)
        unsafe try exchange.publish(keys: rows.keys, count: rows.count, of: table)
        seen.append(group.traffic)
      }
      return withExtendedLifetime((keys, target)) { seen }
    }
    let requests = (0..<ranks).map { Self.wanted(by: $0, of: ranks, round: 0).map { Int($0) } }
    for rank in 0..<ranks {
      let owned = ownership.rows(of: rank)
      let asked = requests[rank].count { !owned.contains($0) }
      let answered = (0..<ranks).filter { $0 != rank }
        .reduce(0) { $0 + requests[$1].count { owned.contains($0) } }
      let counts = 8 * (ranks - 1)
      let plain = ranks == 1 ? 0 : counts + 4 * asked + 4 * Self.stride * answered
      let double = ranks == 1 ? 0 : counts + 4 * asked + 8 * Self.stride * answered
      let rows = Self.spreadKeys(rank, ranks, tree).count
      let spread = ranks == 1 ? 0 : 8 + rows * (4 + 4 * Self.stride)
      let bytes = [plain, plain + double, plain + double + spread, plain + double + 2 * spread]
      #expect(traffic[rank].map(\.bytesSent) == bytes)
      let calls = ranks == 1 ? [3, 6, 6, 6] : [3, 6, 9, 12]
      #expect(traffic[rank].map(\.collectives) == calls)
    }
  }
}
