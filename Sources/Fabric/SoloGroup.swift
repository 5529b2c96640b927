import Foundation

/// The group of one rank: every collective is a copy, and no library is needed.
package final class SoloGroup: ProcessGroup {
  package let rank = 0
  package let size = 1
  package private(set) var traffic = Traffic()

  package init() {}

  package func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe requireExchange(send, sendParts, receive, receiveParts)
    traffic.count(0, of: size)
    guard sendParts.total == receiveParts.total else {
      throw CallMismatch(
        0, "exchange, sends \(sendParts.total) bytes to rank 0",
        0, "exchange, expects \(receiveParts.total) bytes from rank 0")
    }
    unsafe receive.copyMemory(from: UnsafeRawBufferPointer(rebasing: send[..<sendParts.total]))
  }

  package func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe requireGather(send, receive, parts)
    traffic.count(0, of: size)
    unsafe receive.copyMemory(from: send)
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    requireRoot(root)
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    traffic.count(0, of: size)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    traffic.count(0, of: size)
  }

  package func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    traffic.count(0, of: size)
  }

  package func barrier() throws {
    traffic.count(0, of: size)
  }

  package func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try PosixFile(path, mode, rank: rank) { _ in }
  }

  package func abort(_ reason: String, code: Int32) -> Never {
    writeToStandardError(line: failureLine(reason, rank: rank))
    exit(code == 0 ? 1 : code)
  }
}
