import Fabric
import Foundation
import TestSupport

/// A group whose shared files fail on this rank after a number of calls, as a full disk does: the
/// rank takes part in the collective, but its bytes are not written.
final class FaultyGroup: ForwardingGroup {
  let inner: any ProcessGroup
  /// Calls of open, write and close that still succeed.
  fileprivate var callsLeft: Int

  init(_ inner: any ProcessGroup, callsBeforeFailure: Int) {
    self.inner = inner
    callsLeft = callsBeforeFailure
  }

  fileprivate func count() throws {
    guard callsLeft > 0 else {
      throw SharedFileError("write", "model", rank: rank, reason: "No space left on device")
    }
    callsLeft -= 1
  }

  func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    let file = try inner.open(path, mode)
    try count()
    return FaultyFile(file, self)
  }
}

private final class FaultyFile: SharedFile {
  private let inner: any SharedFile
  private let group: FaultyGroup

  init(_ inner: any SharedFile, _ group: FaultyGroup) {
    self.inner = inner
    self.group = group
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    do {
      try group.count()
    } catch {
      unsafe try inner.write(UnsafeRawBufferPointer(start: nil, count: 0), at: offset)
      throw error
    }
    unsafe try inner.write(bytes, at: offset)
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    unsafe try inner.read(into: bytes, at: offset)
  }

  func close() throws {
    try inner.close()
    try group.count()
  }
}
