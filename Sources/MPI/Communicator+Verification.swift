internal import CMPI
internal import Fabric

// Ranks that call different collectives would wait for each other for ever, or take each other's
// bytes for something else. Each rank notes what it calls and keeps a digest of it, its tag. The
// tags of all ranks are compared wherever small numbers of all ranks travel anyway: in every small
// maximum, and in the dense reduction of every step. In builds that verify calls, each collective is also preceded by a small one in which the ranks compare
// what they are about to do.
extension Communicator {
  /// Values that a maximum carries beside the two ends of the tag, and those.
  static let controlLength = 16

  /// Notes a call that begins; it ends with `calls.end()`.
  ///
  /// - Parameters:
  ///   - call: The collective.
  ///   - count: Its size, where it is the same on all ranks; else 0.
  ///   - detail: What else must be the same on all ranks.
  /// - Throws: `CallMismatch` on all ranks, if calls are verified.
  func begin(_ call: CallKind, count: Int, detail: Int64) throws {
    calls.begin(call, count: count, detail: detail, position.activity)
    if verifiesCalls, size > 1 { try verify() }
  }

  /// Compares the newest call over all ranks.
  private func verify() throws {
    // What is not yet the same digest here has been told by an earlier call.
    let tags = try gather(calls.recent(1), count: 1)
    if let mismatch = firstMismatch(tags) { throw mismatch }
  }

  package var callTag: Int64 { calls.tag }

  package func explainDivergence() throws -> Never {
    let all = try gather(calls.recent(), count: CallHistory.length)
    throw firstMismatch(all)
      ?? CallMismatch(
        0, "call \(calls.last)", size - 1, "the same, after other calls that are forgotten")
  }

  /// Compares all ranks with the first.
  private func firstMismatch(_ calls: [RecentCalls]) -> CallMismatch? {
    for rank in calls.indices.dropFirst() {
      if let mismatch = calls[0].mismatch(of: 0, with: calls[rank], of: rank) { return mismatch }
    }
    return nil
  }

  /// The newest `count` calls of all ranks; those of a rank that made fewer are filled up in front.
  private func gather(_ recent: RecentCalls, count: Int) throws(MPIError) -> [RecentCalls] {
    let width = 2 + count * CallTag.wordCount
    var mine = [Int64(recent.last), Int64(recent.tags.count)] + recent.tags.flatMap(\.words)
    mine += [Int64](repeating: 0, count: width - mine.count)
    var all = [Int64](repeating: 0, count: width * size)
    if all.count <= maximumCount {
      unsafe try check(
        "MPI_Allgather",
        MPI_Allgather(
          mine, CInt(width), MPI_INT64_T, &all, CInt(width), MPI_INT64_T, MPI_COMM_WORLD))
    } else {
      splits.verifications += 1
      for root in 0..<size {
        if root == rank { all.replaceSubrange(root * width..<(root + 1) * width, with: mine) }
        for start in stride(from: 0, to: width, by: maximumCount) {
          let piece = CInt(min(maximumCount, width - start))
          let code = unsafe all.withUnsafeMutableBufferPointer {
            unsafe MPI_Bcast(
              $0.baseAddress?.advanced(by: root * width + start), piece, MPI_INT64_T, CInt(root),
              MPI_COMM_WORLD)
          }
          try check("MPI_Bcast", code)
        }
      }
    }
    return (0..<size).map { rank in
      let words = all[rank * width..<(rank + 1) * width]
      let start = words.startIndex + 2
      let tags = (0..<Int(words[words.startIndex + 1])).map {
        CallTag(
          words: words[
            start + $0 * CallTag.wordCount..<start + ($0 + 1) * CallTag.wordCount])
      }
      return RecentCalls(last: Int(words[words.startIndex]), tags: tags)
    }
  }

  /// Compares what each rank sends with what the others expect.
  ///
  /// - Throws: `CallMismatch` on the ranks that would receive something else than they expect.
  func verifyExchange(_ sendParts: Partition, _ receiveParts: Partition) throws {
    guard verifiesCalls else { return }
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

/// How often a transfer did not fit the largest count of the library and took another way.
package struct Splits: Equatable, Sendable {
  /// Exchanges with a part that had to be described by a datatype of its own.
  package var sends = 0
  package var receives = 0
  package var gathers = 0
  package var broadcasts = 0
  package var floatSums = 0
  package var doubleSums = 0
  package var integerSums = 0
  package var maxima = 0
  package var writes = 0
  package var reads = 0
  /// Routes with a message of several pieces.
  package var routes = 0
  package var verifications = 0

  package init() {}
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
