import Fabric
import Storage

/// The length and the checksum of one file, as a manifest records them.
struct FileRecord: Equatable, Sendable {
  /// Length of the file.
  var bytes: Int
  /// XXH64 over the XXH64 of each block of ``blockSize`` bytes, these as 8 little-endian bytes.
  var checksum: UInt64

  /// Bytes of one block; the last block may be shorter.
  static let blockSize = 4 << 20

  /// Computes the record of a file that all ranks see, block `b` on rank `b mod P`. A collective.
  ///
  /// - Parameters:
  ///   - file: The file, open on this rank.
  ///   - group: The ranks.
  /// - Returns: The record, or why all ranks refuse the file.
  /// - Throws: What the group's collectives throw.
  /// - Complexity: each rank reads its share; 8 bytes for each block are sent; 4 MiB of memory.
  static func compute(
    _ file: FileReader, group: any ProcessGroup
  ) throws -> Result<FileRecord, Failure> {
    let ends = try group.maximum(of: [Int64(file.size), ~Int64(file.size)])
    guard ends[0] == ~ends[1] else {
      return .failure(.data("\(file.path) has not the same length on all ranks"))
    }
    let blocks = file.size / blockSize + (file.size % blockSize == 0 ? 0 : 1)
    let own: [UInt64]
    switch try group.agree({ try checksums(of: file, blocks: blocks, on: group) }) {
    case .success(let values): own = values
    case .failure(let failure): return .failure(failure)
    }
    let counts = (0..<group.size).map { rank in
      blocks / group.size + (rank < blocks % group.size ? 1 : 0)
    }
    let gathered = try group.gather(own, counts: counts)
    let starts = Partition(counts: counts).offsets
    var combined = XXHash64()
    for block in 0..<blocks {
      var word = gathered[starts[block % group.size] + block / group.size].littleEndian
      unsafe withUnsafeBytes(of: &word) { unsafe combined.update($0) }
    }
    return .success(FileRecord(bytes: file.size, checksum: combined.finalize()))
  }

  /// The checksums of this rank's blocks.
  private static func checksums(
    of file: FileReader, blocks: Int, on group: any ProcessGroup
  ) throws(Failure) -> [UInt64] {
    var values: [UInt64] = []
    for block in stride(from: group.rank, to: blocks, by: group.size) {
      let offset = block * blockSize
      let bytes = try file.read(min(blockSize, file.size - offset), at: offset)
      unsafe values.append(bytes.withUnsafeBytes { unsafe XXHash64.hash($0) })
    }
    return values
  }
}
