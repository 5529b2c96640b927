import Fabric
import Kernels
import Sharding
import Testing

@Suite struct SharedRowsTests {
  private struct Refusal: Error {}

  private static let stride = 16

  private static func value(_ row: Int, _ column: Int, round: Int) -> Float {
    Float(10_000 * round + 100 * row + column)
  }

  private static func expected(round: Int) -> [Float] {
    (0..<GradientProblem.itemCount).flatMap { row in
      (0..<stride).map { value(row, $0, round: round) }
    }
  }

  private static func write(_ rows: Range<Int>, of table: SharedRows, round: Int) {
    for row in rows {
      for column in 0..<stride {
        unsafe table.weights.pointer[row * stride + column] = value(row, column, round: round)
      }
    }
  }

  /// One rank's part of a job that shares one table.
  private static func run<Result: Sendable>(
    ranks: Int, _ body: @escaping @Sendable (LocalGroup, SharedRows, Range<Int>) throws -> Result
  ) throws -> [Result] {
    let ownership = GradientProblem.ownership(
      ShardTree(shardCount: shardCount, rankCount: ranks))
    return try LocalGroup.run(ranks: ranks) { group in
      let table = try SharedRows(ownership: ownership, stride: stride, group: group)
      return try withExtendedLifetime(table) {
        try body(group, table, ownership.rows(of: group.rank))
      }
    }
  }

  @Test(arguments: rankCounts) func theTableBeginsAsZeros(ranks: Int) throws {
    let tables = try Self.run(ranks: ranks) { _, table, _ in
      // The mark of a cache line, which kernels rely on.
      unsafe #expect(UInt(bitPattern: table.weights.pointer) % 64 == 0)
      return table.weights.values
    }
    let count = GradientProblem.itemCount * Self.stride
    for table in tables { #expect(table == [Float](repeating: 0, count: count)) }
  }

  @Test(arguments: rankCounts) func everybodyReadsWhatAllOwnersPublished(ranks: Int) throws {
    let tables = try Self.run(ranks: ranks) { group, table, owned in
      try (1...3).map { round in
        Self.write(owned, of: table, round: round)
        try table.publish()
        try table.settle()
        let values = table.weights.values
        // Nobody writes the next round while others read this one.
        try group.barrier()
        return values
      }
    }
    for rank in tables {
      for (index, table) in rank.enumerated() { #expect(table == Self.expected(round: index + 1)) }
    }
  }

  /// What was published last is what is read, however often nobody looked before.
  @Test(arguments: rankCounts) func publishingAgainNeedsNoReader(ranks: Int) throws {
    let tables = try Self.run(ranks: ranks) { group, table, owned in
      let before = group.traffic.collectives
      for round in 1...4 {
        Self.write(owned, of: table, round: round)
        try table.publish()
      }
      try table.settle()
      #expect(group.traffic.collectives == before + 4)
      return table.weights.values
    }
    for table in tables { #expect(table == Self.expected(round: 4)) }
  }

  /// Otherwise a rank that asks alone would wait for ever.
  @Test func nothingPublishedIsNothingToWaitFor() throws {
    _ = try Self.run(ranks: 3) { group, table, _ in
      if group.rank == 1 {
        try table.settle()
        try table.settle()
      }
      try table.publish()
      try table.settle()
      if group.rank == 2 { try table.settle() }
    }
  }

  @Test(arguments: rankCounts) func aRewriteComesAfterReadersAndBeforeReaders(ranks: Int) throws {
    let tables = try Self.run(ranks: ranks) { group, table, owned in
      Self.write(owned, of: table, round: 1)
      try table.publish()
      var seen: [[Float]] = []
      for round in 2...4 {
        // The first finds something published that nobody has settled.
        if round > 2 { seen.append(table.weights.values) }
        try table.rewrite { Self.write(owned, of: table, round: round) }
      }
      seen.append(table.weights.values)
      return seen
    }
    for rank in tables {
      #expect(rank.count == 3)
      for (index, table) in rank.enumerated() { #expect(table == Self.expected(round: index + 2)) }
    }
  }

  /// The error of one rank is what the job ends with; nobody waits at the second fence.
  @Test func aRewriteThatFailsEndsTheJob() throws {
    #expect(throws: Refusal.self) {
      _ = try Self.run(ranks: 4) { group, table, _ in
        try table.rewrite { if group.rank == 2 { throw Refusal() } }
      }
    }
  }

  /// The ranks of a machine have all rows among them, whoever owns them.
  @Test(arguments: rankCounts, MachineLayout.allCases)
  func everyMachineWritesAllRows(ranks: Int, layout: MachineLayout) throws {
    let ownership = GradientProblem.ownership(
      ShardTree(shardCount: shardCount, rankCount: ranks))
    let machines = layout.machines(ranks: ranks)
    let written = try LocalGroup.run(machines: machines) { group in
      let table = try SharedRows(ownership: ownership, stride: Self.stride, group: group)
      try withExtendedLifetime(table) {
        Self.write(table.written, of: table, round: 1)
        try table.publish()
        try table.settle()
        #expect(table.weights.values == Self.expected(round: 1))
      }
      return table.written
    }
    for machine in Set(machines) {
      let rows = machines.indices.filter { machines[$0] == machine }.flatMap { written[$0] }
      #expect(rows == Array(0..<GradientProblem.itemCount))
    }
    if Set(machines).count == 1 {
      #expect(written == (0..<ranks).map { ownership.rows(of: $0) })
    }
  }
}
