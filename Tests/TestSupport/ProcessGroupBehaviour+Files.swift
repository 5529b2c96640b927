import Fabric
import Foundation

extension ProcessGroupBehaviour {
  mutating func filesHoldWhatAllRanksWrote() throws {
    let (rank, size) = (group.rank, group.size)
    let path = "\(directory)/shared"
    // Rank 1 writes nothing, the others unequal pieces; 100 bytes at the end stay as they are.
    let parts = partition { $0 == 1 ? 0 : 10_007 + 1000 * $0 }
    let content = (0..<size).flatMap { peer in
      (0..<parts.counts[peer]).map { Self.byte(peer, 0, $0) }
    }
    let file = try group.open(path, .create(size: parts.total + 100))
    let mine = parts.range(of: rank)
    let half = mine.count / 2
    unsafe try content.withUnsafeBytes { bytes in
      // Two calls, the second half first, so that neither starts where the last one ended.
      unsafe try file.write(
        UnsafeRawBufferPointer(rebasing: bytes[mine.dropFirst(half)]),
        at: mine.lowerBound + half)
      unsafe try file.write(
        UnsafeRawBufferPointer(rebasing: bytes[mine.prefix(half)]), at: mine.lowerBound)
    }
    try file.close()
    let whole = FileManager.default.contents(atPath: path) ?? Data()
    expect(
      whole.count == parts.total + 100
        && whole.elementsEqual(content + [UInt8](repeating: 0, count: 100)),
      "the file holds the bytes of all ranks and zeros up to its size")

    // Each rank reads what another one wrote; the last reads nothing.
    let reading = try group.open(path, .read)
    let theirs = rank == size - 1 && size > 1 ? 0..<0 : parts.range(of: (rank + 1) % size)
    var bytes = [UInt8](repeating: 0, count: theirs.count)
    unsafe try bytes.withUnsafeMutableBytes {
      unsafe try reading.read(into: $0, at: theirs.lowerBound)
    }
    expect(bytes.elementsEqual(content[theirs]), "a rank reads what another one wrote")
    try reading.close()
  }

  mutating func writtenFilesAreReplaced() throws {
    let path = "\(directory)/shared"
    let file = try group.open(path, .create(size: 3))
    let bytes: [UInt8] = group.rank == group.size - 1 ? [7, 8] : []
    unsafe try bytes.withUnsafeBytes { unsafe try file.write($0, at: 1) }
    try file.close()
    expect(
      FileManager.default.contents(atPath: path) == Data([0, 7, 8]),
      "a new file takes the place of the old one")
    try group.barrier()
  }

  /// All ranks meet the same error here, so that they stay together after it.
  mutating func failedFileOperationsNameTheFile() throws {
    let group = group
    let missing = "\(directory)/absent/file"
    if group.size == 1 {
      // With more ranks the creating one alone meets the error, which ends the job.
      expectError("create", missing) { _ = try group.open(missing, .create(size: 1)) }
    }
    expectError("open", missing) { _ = try group.open(missing, .read) }
    let path = "\(directory)/shared"
    let file = try group.open(path, .read)
    expectError("read", path) {
      var bytes = [UInt8](repeating: 0, count: 2)
      unsafe try bytes.withUnsafeMutableBytes { unsafe try file.read(into: $0, at: 2) }
    }
    expectError("write", path) {
      unsafe try [UInt8](repeating: 0, count: 2).withUnsafeBytes {
        unsafe try file.write($0, at: 0)
      }
    }
    try file.close()
  }

  private mutating func expectError(_ action: String, _ path: String, _ body: () throws -> Void) {
    do {
      try body()
      expect(false, "an error is thrown by an impossible \(action)")
    } catch let error as SharedFileError {
      expect(
        error.action == action && error.path == path && error.rank == group.rank
          && !error.reason.isEmpty,
        "the error of a failed \(action) says so and names file and rank, not '\(error)'")
    } catch {
      expect(false, "a failed \(action) throws SharedFileError, not \(error)")
    }
  }
}
