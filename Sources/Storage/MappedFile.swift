internal import CMappedFiles
import Foundation

/// A file mapped into memory, read-only or to be filled.
///
/// Pages come from the operating system's cache, so a mapped dataset costs no memory of the
/// process beyond what is being read.
@safe
package final class MappedFile: Sendable {
  package let path: String
  /// The whole file; valid as long as this object lives.
  package nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

  /// Maps an existing file for reading.
  ///
  /// - Parameters:
  ///   - path: An ordinary file.
  ///   - limit: The most bytes it may have.
  /// - Throws: `Failure`: data for a longer file, else `inputOutput`, also for what is not an
  ///   ordinary file.
  package init(reading path: String, atMost limit: Int = .max) throws(Failure) {
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .inputOutput("read", path, errno: errno) }
    defer { close(descriptor) }
    let size = try ordinarySize(of: descriptor, path)
    guard size <= limit else {
      throw .data("\(path) has \(size) bytes, more than the \(limit) that are ever read")
    }
    self.path = path
    unsafe bytes = try Self.map(descriptor, size, PROT_READ, path)
    if unsafe bytes.count > 0 {
      unsafe inverse_mapping_add(bytes.baseAddress, bytes.count, path)
    }
  }

  /// Creates a file of `count` zero bytes and maps it for writing; it must not exist yet.
  ///
  /// The space is reserved at once, so a full disk is an error here and not a fault later.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package init(creating path: String, count: Int) throws(Failure) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .inputOutput("create", path, errno: errno) }
    defer { close(descriptor) }
    if count > 0 {
      let code = posix_fallocate(descriptor, 0, off_t(count))
      guard code == 0 else { throw .inputOutput("write", path, errno: code) }
    }
    self.path = path
    unsafe bytes = try Self.map(descriptor, count, PROT_READ | PROT_WRITE, path)
    if count > 0 { unsafe inverse_mapping_add(bytes.baseAddress, count, path) }
  }

  deinit {
    guard unsafe bytes.count > 0 else { return }
    // First forgotten, since another thread may be given the same address at once.
    unsafe inverse_mapping_remove(bytes.baseAddress)
    unsafe munmap(bytes.baseAddress, bytes.count)
  }

  /// From now on a mapped file that was cut short, or whose disk does not answer, ends the process
  /// with one line that names it and the exit code of `inputOutput`, in place of a signal.
  ///
  /// For programs, at their start. A file that was only removed can be read on.
  package static func reportFaults() {
    unsafe inverse_mapping_report(
      strdup("inverse: error: cannot read "),
      strdup(
        " any more: the file was cut short, or its disk fails; put it back as it was, then start "
          + "again (train: with --resume)\n"), Failure.Kind.inputOutput.rawValue)
  }

  /// The file's bytes for reading.
  package var readOnly: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(bytes) }

  /// Gives the memory of the pages read so far back; what is read again comes from the cache of the
  /// operating system. Only for a file that is mapped for reading.
  package func release() {
    guard unsafe !bytes.isEmpty else { return }
    unsafe madvise(bytes.baseAddress, bytes.count, MADV_DONTNEED)
  }

  /// Waits until what was written through the mapping is on the disk.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package func synchronize() throws(Failure) {
    guard unsafe !bytes.isEmpty else { return }
    guard unsafe msync(bytes.baseAddress, bytes.count, MS_SYNC) == 0 else {
      throw .inputOutput("write", path, errno: errno)
    }
  }

  private static func map(
    _ descriptor: Int32, _ count: Int, _ protection: Int32, _ path: String
  ) throws(Failure) -> UnsafeMutableRawBufferPointer {
    // An empty file has nothing to map, and mmap refuses it.
    guard count > 0 else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    let address = unsafe mmap(nil, count, protection, MAP_SHARED, descriptor, 0)
    guard unsafe address != MAP_FAILED else { throw .inputOutput("map", path, errno: errno) }
    return unsafe UnsafeMutableRawBufferPointer(start: address, count: count)
  }
}
