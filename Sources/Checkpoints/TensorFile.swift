package import Fabric
import Storage

/// Files of named tensors in the safetensors format, written by all ranks together and readable
/// from Python with the `safetensors` package.
///
/// Rows stand in global order, so the bytes of a file do not depend on the number of ranks.
/// See ``TensorHeader`` for the layout and <https://github.com/huggingface/safetensors>.
package enum TensorFile {
  /// Most bytes that a rank writes in one collective, and its memory for packing rows.
  package static let defaultRoundSize = 8 << 20

  /// Writes a new file; one that exists is replaced. A collective.
  ///
  /// - Parameters:
  ///   - path: The file, in a directory that exists.
  ///   - slabs: This rank's rows of every tensor: the same tensors on all ranks, in any order.
  ///   - metadata: Strings for the header, the same on all ranks.
  ///   - group: The ranks.
  ///   - roundSize: Most bytes written by a rank in one collective, at least one row is.
  /// - Throws: `Failure` on all ranks when one fails: `software` when the ranks' tensors do not fit
  ///   together, `inputOutput` when the file cannot be written. What was written stays behind.
  /// - Complexity: each rank writes what it holds; one collective for each `roundSize` bytes of the
  ///   rank that has most of a tensor, and about ten besides. Packing needs `roundSize` bytes.
  package static func write(
    _ path: String, _ slabs: [TensorSlab], metadata: [String: String] = [:],
    group: any ProcessGroup, roundSize: Int = defaultRoundSize
  ) throws {
    let ordered = slabs.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let header = try group.agree {
      try TensorHeader(
        laying: ordered.map { ($0.name, $0.element, $0.shape) }, metadata: metadata)
    }.get()
    let encoded = header.encoded()
    let rows = try agreedRows(ordered, encoded, path, group)
    let file = try group.agree {
      try withFailures {
        try group.open(path, .create(size: encoded.count + header.dataCount))
      }
    }.get()
    let writer = CollectiveWriter(file: file, roundSize: roundSize)
    writer.write(group.rank == 0 ? encoded : [], at: 0)
    for (index, slab) in ordered.enumerated() {
      writer.write(
        slab, at: encoded.count + header.entries[index].bytes.lowerBound,
        rounds: writer.rounds(slab, mostRows: rows[index].map(\.count).max() ?? 0))
    }
    // Closing is a collective as well, so a rank that could not write takes part in it.
    try group.agree { try writer.close() }.get()
  }

  /// The rows of all ranks for each tensor, once they are known to be each row exactly once.
  private static func agreedRows(
    _ slabs: [TensorSlab], _ header: [UInt8], _ path: String, _ group: any ProcessGroup
  ) throws -> [[Range<Int>]] {
    let digest = unsafe Int64(bitPattern: header.withUnsafeBytes { unsafe XXHash64.hash($0) })
    // The largest of ~x is the complement of the smallest x: both ends in one collective.
    let ends = try group.maximum(of: [digest, ~digest])
    guard ends[0] == ~ends[1] else {
      throw Failure.software("\(path): the ranks do not agree on the tensors to write")
    }
    let own = slabs.flatMap { [UInt64($0.rows.lowerBound), UInt64($0.rows.upperBound)] }
    let all = try group.gather(own, counts: Array(repeating: own.count, count: group.size))
    return try slabs.indices.map { index in
      let ranges = (0..<group.size).map { rank in
        let place = rank * own.count + 2 * index
        return Int(all[place])..<Int(all[place + 1])
      }
      var end = 0
      for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
        guard range.lowerBound == end else {
          throw Failure.software(
            """
            \(path): tensor \(slabs[index].name): rows \(end)..<\(range.lowerBound) are held by \
            no rank or by two
            """)
        }
        end = range.upperBound
      }
      guard end == slabs[index].shape[0] else {
        throw Failure.software(
          "\(path): tensor \(slabs[index].name): no rank holds the rows from \(end) on")
      }
      return ranges
    }
  }

  /// Gives an error of a shared file the form that users see; others are passed on.
  static func withFailures<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as SharedFileError {
      throw Failure(.inputOutput, error.description)
    }
  }
}
