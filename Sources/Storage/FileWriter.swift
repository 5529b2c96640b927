import Foundation

/// A new file written from front to back through a buffer, with its checksum.
///
/// A file that is not finished by ``close()`` stays where it is; callers write inside a
/// ``StagedDirectory``, which removes everything after an error.
package final class FileWriter {
  package let path: String
  /// Bytes taken in so far.
  package private(set) var count = 0
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private let capacity: Int
  private var checksum = XXHash64()
  private var isOpen = true

  /// Creates the file; it must not exist yet.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package init(path: String, capacity: Int = 1 << 16) throws(Failure) {
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .inputOutput("create", path, errno: errno) }
    self.path = path
    self.capacity = capacity
    buffer.reserveCapacity(capacity + 64)
  }

  deinit { if isOpen { Foundation.close(descriptor) } }

  /// Appends the little-endian bytes of an integer.
  package func append(_ value: some FixedWidthInteger) throws(Failure) {
    var little = value.littleEndian
    unsafe withUnsafeBytes(of: &little) { unsafe buffer.append(contentsOf: $0) }
    count += MemoryLayout.size(ofValue: little)
    if buffer.count >= capacity { try flush() }
  }

  /// Appends bytes as they are.
  package func append(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count < capacity else {
      // Large enough for a call of its own.
      try flush()
      unsafe try write(bytes)
      count += bytes.count
      return
    }
    unsafe buffer.append(contentsOf: bytes)
    count += bytes.count
    if buffer.count >= capacity { try flush() }
  }

  /// Appends bytes as they are.
  package func append(contentsOf bytes: [UInt8]) throws(Failure) {
    buffer.append(contentsOf: bytes)
    count += bytes.count
    if buffer.count >= capacity { try flush() }
  }

  /// Writes what is left, waits until it is on the disk, and returns the checksum of the file.
  ///
  /// A scratch file that does not outlive the process need not wait: `durable` is `false`.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package func close(durable: Bool = true) throws(Failure) -> UInt64 {
    try flush()
    guard !durable || fsync(descriptor) == 0 else {
      throw .inputOutput("write", path, errno: errno)
    }
    isOpen = false
    guard Foundation.close(descriptor) == 0 else {
      throw .inputOutput("write", path, errno: errno)
    }
    return checksum.finalize()
  }

  private func flush() throws(Failure) {
    guard !buffer.isEmpty else { return }
    var failure: Failure?
    unsafe buffer.withUnsafeBytes { bytes in
      do throws(Failure) { unsafe try write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    buffer.removeAll(keepingCapacity: true)
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    unsafe checksum.update(bytes)
    let code = unsafe writeAll(descriptor, bytes, at: nil)
    guard code == 0 else { throw .inputOutput("write", path, errno: code) }
  }
}

/// Writes all of `bytes`, at the current position or at `offset`; returns 0 or the error number.
package func writeAll(
  _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?
) -> Int32 {
  var done = 0
  while done < bytes.count {
    let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
    let written =
      if let offset {
        unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      } else {
        unsafe write(descriptor, rest.baseAddress, rest.count)
      }
    if written < 0 {
      if errno == EINTR { continue }
      return errno
    }
    done += written
  }
  return 0
}
