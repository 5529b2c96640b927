import Fabric
import Foundation
import MPI
import TestSupport

/// One check, seen from one rank of a job.
struct RankCheck {
  let world: Communicator
  let parameter: String
  /// How many ranks of a machine are pretended to be all of it.
  let ranksPerMachine: Int?

  func run(_ name: String) throws {
    switch name {
    case "behaviour", "behaviour-unverified": try behaviour()
    case "throw": try throwOnOneRank()
    case "throw-on-all": throw CheckFailure(description: "all ranks fail\nwith two lines")
    case "abort": try abortOnOneRank()
    case "wait": try waitForEver()
    case "return": try returnEarly()
    case "mismatch": try mismatch()
    case "sizes": try sizes()
    case "parts": try parts()
    case "full": try fillTheDisk()
    case "large": try largeParts()
    case "diverge", "different", "rounds", "slow", "late", "pauses": try runStallCheck(name)
    case "size": try say("size \(world.size)")
    default: throw CheckFailure(description: "unknown check '\(name)'")
    }
  }

  private func behaviour() throws {
    let failures = try ProcessGroupBehaviour.check(
      world, in: parameter, ranksPerMachine: ranksPerMachine)
    try say("splits \(describe(world.splits))")
    guard failures.isEmpty else {
      throw CheckFailure(description: failures.joined(separator: "; "))
    }
    try say("all held")
  }

  /// The others are in a collective that can never complete.
  private func throwOnOneRank() throws {
    if world.rank == world.size - 1 { throw CheckFailure(description: "cause of the failure") }
    while true { try world.barrier() }
  }

  private func abortOnOneRank() throws {
    if world.rank == world.size - 1 { world.abort("cause of the abort", code: 9) }
    while true { try world.barrier() }
  }

  /// Ranks that are killed while they wait for the one that never comes.
  private func waitForEver() throws {
    try say("ready")
    if world.rank == 0 { while true { pause() } }
    try world.barrier()
  }

  private func returnEarly() throws {
    if world.rank == 0 { exit(0) }
    try world.barrier()
  }

  private func mismatch() throws {
    if world.rank == 0 { return try world.barrier() }
    var values: [Double] = [1]
    unsafe try values.withUnsafeMutableBufferPointer { unsafe try world.sum($0) }
  }

  private func sizes() throws {
    let send = [UInt8](repeating: 0, count: 12 * world.size)
    var receive = send
    // Rank 0 sends four bytes more to each than they expect.
    let sent = Partition(parts: world.size, of: world.rank == 0 ? 12 : 8)
    let expected = Partition(parts: world.size, of: 8)
    unsafe try send.withUnsafeBytes { send in
      unsafe try receive.withUnsafeMutableBytes {
        unsafe try world.exchange(send, sent, into: $0, expected)
      }
    }
  }

  /// The same total, divided differently.
  private func parts() throws {
    let send = [UInt8](repeating: 0, count: world.rank + 1)
    var receive = [UInt8](repeating: 0, count: 3)
    let parts = Partition(counts: world.rank == 0 ? [1, 2] : [1, 2].reversed())
    unsafe try send.prefix(parts.counts[world.rank]).withUnsafeBytes { send in
      unsafe try receive.withUnsafeMutableBytes { unsafe try world.gather(send, into: $0, parts) }
    }
  }

  /// A limit on the size of files stands for a full disk: both end in a refused write.
  private func fillTheDisk() throws {
    signal(SIGXFSZ, SIG_IGN)
    let count = 1 << 20
    let file = try world.open("\(parameter)/file", .create(size: count * world.size))
    var limit = rlimit(rlim_cur: rlim_t(count / 2), rlim_max: rlim_t(count / 2))
    guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
      throw CheckFailure(description: "the size of files cannot be limited")
    }
    let bytes = [UInt8](repeating: 1, count: count)
    unsafe try bytes.withUnsafeBytes { unsafe try file.write($0, at: world.rank * count) }
    try file.close()
    try say("written")
  }

  /// Rank 0 sends rank 1 a part that no 32-bit count can hold, after one that pushes it beyond any
  /// 32-bit offset.
  private func largeParts() throws {
    let large = Int(Int32.max) + 1000
    let (first, last) = (UInt8(3), UInt8(5))
    let sent = Partition(counts: world.rank == 0 ? [large, large] : [1, 0])
    let expected = Partition(counts: world.rank == 0 ? [large, 1] : [large, 0])
    let send = UnsafeMutableRawBufferPointer.allocate(byteCount: sent.total, alignment: 64)
    let receive = UnsafeMutableRawBufferPointer.allocate(byteCount: expected.total, alignment: 64)
    defer {
      unsafe send.deallocate()
      unsafe receive.deallocate()
    }
    unsafe send[sent.offsets[1 - world.rank]] = first
    if world.rank == 0 { unsafe send[sent.total - 1] = last }
    unsafe try world.exchange(UnsafeRawBufferPointer(send), sent, into: receive, expected)
    let start = expected.offsets[1 - world.rank]
    let held =
      unsafe receive[start] == first && (world.rank == 0 || receive[expected.total - 1] == last)
    guard held else { throw CheckFailure(description: "a large part arrived damaged") }
    try say("large parts held")
  }

  /// The transfers that were split on this rank, by name.
  private func describe(_ splits: Splits) -> String {
    Mirror(reflecting: splits).children.compactMap { name, count in
      count as? Int == 0 ? nil : name
    }.joined(separator: ",")
  }

  func say(_ line: String) throws {
    try FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8))
  }
}
