internal import CMPI
internal import Fabric

/// The collectives, as numbers that ranks can compare.
enum CallKind: Int64 {
  case exchange = 1
  case gather, broadcast, sumFloat, sumDouble, sumInt64, maximum, barrier
  case openFile, createFile, writeFile, readFile, closeFile
  case shareMemory, arrive, wait, closeMemory
  case makeRoute, startRound, finishRound

  /// What a rank was doing, for an error message.
  func description(count: Int64, detail: Int64) -> String {
    switch self {
    case .exchange: "exchange"
    case .gather: "gather of \(count) bytes"
    case .broadcast: "broadcast of \(count) bytes from rank \(detail)"
    case .sumFloat: "sum of \(count) Float"
    case .sumDouble: "sum of \(count) Double"
    case .sumInt64: "sum of \(count) Int64"
    case .maximum: "maximum of \(count) Int64"
    case .barrier: "barrier"
    case .openFile: "open a file"
    case .createFile: "create a file of \(count) bytes"
    case .writeFile: "write a file"
    case .readFile: "read a file"
    case .closeFile: "close a file"
    case .shareMemory: "share memory"
    case .arrive: "arrive at a fence of memory \(detail)"
    case .wait: "wait at a fence of memory \(detail)"
    case .closeMemory: "close memory \(detail)"
    case .makeRoute: "make a route of messages"
    case .startRound: "start messages of route \(detail)"
    case .finishRound: "finish messages of route \(detail)"
    }
  }

  /// What the detail stands for where the description does not show it.
  var hiddenDifference: String {
    switch self {
    case .gather: "divided differently"
    case .shareMemory: "of another layout"
    default: "of another path"
    }
  }
}

// Ranks that call different collectives would wait for each other for ever, or take each other's
// bytes for something else. In builds that verify calls, each collective is preceded by a small
// one in which the ranks compare what they are about to do.
extension Communicator {
  /// Compares one call over all ranks.
  ///
  /// - Parameters:
  ///   - call: The collective.
  ///   - count: Its size.
  ///   - detail: What else must be the same on all ranks.
  /// - Throws: `CallMismatch` on all ranks.
  func verify(_ call: CallKind, count: Int, detail: Int64) throws {
    guard verifiesCalls, size > 1 else { return }
    let mine = [call.rawValue, Int64(count), detail]
    var all = [Int64](repeating: 0, count: mine.count * size)
    unsafe try check(
      "MPI_Allgather",
      MPI_Allgather(
        mine, CInt(mine.count), MPI_INT64_T, &all, CInt(mine.count), MPI_INT64_T, MPI_COMM_WORLD))
    let calls = stride(from: 0, to: all.count, by: mine.count).map { all[$0..<$0 + mine.count] }
    guard let other = calls.firstIndex(where: { !$0.elementsEqual(calls[0]) }) else { return }
    let names = [0, other].map { rank in
      let values = Array(calls[rank])
      let kind = CallKind(rawValue: values[0]) ?? call
      return kind.description(count: values[1], detail: values[2])
    }
    let isHidden = names[0] == names[1]
    throw CallMismatch(
      0, names[0], other, isHidden ? "\(names[1]), \(call.hiddenDifference)" : names[1])
  }

  /// Compares what each rank sends with what the others expect.
  ///
  /// - Throws: `CallMismatch` on the ranks that would receive something else than they expect.
  func verifyExchange(_ sendParts: Partition, _ receiveParts: Partition) throws {
    guard verifiesCalls else { return }
    try verify(.exchange, count: 0, detail: 0)
    let sent = sendParts.counts.map { Int64($0) }
    var arriving = sent
    unsafe try check(
      "MPI_Alltoall",
      MPI_Alltoall(sent, 1, MPI_INT64_T, &arriving, 1, MPI_INT64_T, MPI_COMM_WORLD))
    for peer in 0..<size where arriving[peer] != Int64(receiveParts.counts[peer]) {
      throw CallMismatch(
        peer, "exchange, sends \(arriving[peer]) bytes to rank \(rank)",
        rank, "exchange, expects \(receiveParts.counts[peer]) bytes from rank \(peer)")
    }
  }
}

extension Sequence where Element: BinaryInteger {
  /// A number that is the same on all ranks for the same bytes or counts (FNV-1a over 64 bits):
  /// `Hasher` is seeded anew in every process.
  var hashed: Int64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for element in self {
      hash = (hash ^ UInt64(truncatingIfNeeded: element)) &* 0x100_0000_01B3
    }
    return Int64(truncatingIfNeeded: hash)
  }
}
