import Fabric
import Foundation
import TestSupport
import Testing

@Suite struct SoloGroupTests {
  @Test func behavesLikeAProcessGroup() throws {
    try withTemporaryDirectory { directory in
      let failures = try ProcessGroupBehaviour.check(SoloGroup(), in: directory)
      #expect(failures == [])
    }
  }

  @Test func anExchangeOfUnequalPartsIsAMismatch() {
    #expect(throws: CallMismatch.self) {
      try exchangeZeros(SoloGroup(), Partition(counts: [3]), Partition(counts: [2]))
    }
  }

  @Test func abortEndsTheProgramWithItsCode() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(65), observing: [\.standardErrorContent]
    ) {
      SoloGroup().abort("no such\nfile", code: 65)
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text == "rank 0 on \(hostName()): no such file\n")
  }
}

@Suite struct LocalGroupTests {
  @Test(arguments: [1, 2, 3, 4, 5, 7])
  func behavesLikeAProcessGroup(ranks: Int) throws {
    try withTemporaryDirectory { directory in
      let failures = try LocalGroup.run(ranks: ranks) { group in
        try ProcessGroupBehaviour.check(group, in: directory)
      }
      #expect(failures == [[String]](repeating: [], count: ranks))
    }
  }

  @Test(arguments: [(2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (2, 8)])
  func behavesLikeAProcessGroupOnPretendedMachines(ranks: Int, ranksPerMachine: Int) throws {
    try withTemporaryDirectory { directory in
      let failures = try LocalGroup.run(ranks: ranks, ranksPerMachine: ranksPerMachine) { group in
        try ProcessGroupBehaviour.check(group, in: directory, ranksPerMachine: ranksPerMachine)
      }
      #expect(failures == [[String]](repeating: [], count: ranks))
    }
  }

  @Test func resultsComeInRankOrder() throws {
    #expect(try LocalGroup.run(ranks: 5) { [$0.rank, $0.size] } == (0..<5).map { [$0, 5] })
  }

  /// The others wait, or come later, and must not stay.
  @Test(arguments: [0, 2])
  func theFirstErrorEndsAllRanks(failing: Int) {
    struct Cause: Error, Equatable { let rank: Int }
    let others = Witness()
    #expect(throws: Cause(rank: failing)) {
      try LocalGroup.run(ranks: 3) { group in
        try group.barrier()
        if group.rank == failing { throw Cause(rank: failing) }
        do {
          while true { try group.barrier() }
        } catch let error as PeerFailure {
          others.note("\(error.rank)")
          // A rank that goes on in spite of the error does not get far either.
          try group.barrier()
        }
      }
    }
    #expect(others.notes == ["\(failing)", "\(failing)"])
  }

  @Test func differentCallsAreNamed() {
    let mismatch = #expect(throws: CallMismatch.self) {
      try LocalGroup.run(ranks: 2) { group in
        if group.rank == 0 { try group.barrier() } else { try addOnes(group) }
      }
    }
    #expect(mismatch?.description == "ranks disagree: rank 0: barrier; rank 1: sum of 1 Double")
  }

  @Test func differentSizesAreNamed() {
    let mismatch = #expect(throws: CallMismatch.self) {
      try LocalGroup.run(ranks: 3) { group in
        // Rank 1 sends rank 2 more than that expects.
        var sent = Partition(parts: 3, of: 8)
        if group.rank == 1 { sent.set { $0 == 2 ? 12 : 8 } }
        try exchangeZeros(group, sent, Partition(parts: 3, of: 8))
      }
    }
    #expect(
      mismatch?.description
        == "ranks disagree: rank 1: exchange, sends 12 bytes to rank 2; "
        + "rank 2: exchange, expects 8 bytes from rank 1")
  }

  /// Without notice of it the others would wait for ever, whether they come before or after.
  @Test func aRankThatReturnsEarlyIsNamed() {
    let mismatch = #expect(throws: CallMismatch.self) {
      try LocalGroup.run(ranks: 3) { group in
        if group.rank != 1 { try group.barrier() }
      }
    }
    #expect(mismatch?.ranks.last == 1)
    #expect(mismatch?.calls == ["barrier", "returned"])
  }

  @Test func aFileThatOneRankCannotCreateEndsAllRanks() {
    let error = #expect(throws: SharedFileError.self) {
      try LocalGroup.run(ranks: 3) { group in
        _ = try group.open("/no/such/directory/file", .create(size: 1))
      }
    }
    #expect(
      error?.description
        == "cannot create /no/such/directory/file on rank 0: No such file or directory")
  }

  /// A trap, not a thrown error, which would end an exit test with an exit code.
  @Test func callsWithWrongArgumentsStopTheProgram() async throws {
    let exchange = try await #require(processExitsWith: .failure) {
      try exchangeZeros(SoloGroup(), Partition(counts: [1, 1]), Partition(counts: [1]))
    }
    #expect(exchange.exitStatus == .signal(SIGILL) || exchange.exitStatus == .signal(SIGTRAP))
    let broadcast = try await #require(processExitsWith: .failure) {
      try broadcastNothing(SoloGroup(), from: 1)
    }
    #expect(broadcast.exitStatus == .signal(SIGILL) || broadcast.exitStatus == .signal(SIGTRAP))
  }
}

private func exchangeZeros(
  _ group: any ProcessGroup, _ sent: Partition, _ expected: Partition
) throws {
  let send = [UInt8](repeating: 0, count: sent.total)
  var receive = [UInt8](repeating: 0, count: expected.total)
  unsafe try send.withUnsafeBytes { send in
    unsafe try receive.withUnsafeMutableBytes {
      unsafe try group.exchange(send, sent, into: $0, expected)
    }
  }
}

private func addOnes(_ group: any ProcessGroup) throws {
  var values: [Double] = [1]
  unsafe try values.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
}

private func broadcastNothing(_ group: any ProcessGroup, from root: Int) throws {
  unsafe try group.broadcast(UnsafeMutableRawBufferPointer(start: nil, count: 0), from: root)
}

/// Collects what ranks saw.
final class Witness: @unchecked Sendable {
  private let lock = NSLock()
  private var seen: [String] = []

  var notes: [String] { lock.withLock { seen.sorted() } }

  func note(_ text: String) { lock.withLock { seen.append(text) } }
}
