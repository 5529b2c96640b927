import Foundation

/// A file read piece by piece from anywhere inside it.
///
/// Other than a ``MappedFile``, a file that is cut short while it is open is an error here and not
/// a fault, so it suits files that nobody vouches for.
package final class FileReader: Sendable {
  package let path: String
  /// The number of bytes when the file was opened.
  package let size: Int
  private let descriptor: Int32

  /// Opens an existing file.
  ///
  /// - Throws: `Failure` of kind `inputOutput`, also for what is not an ordinary file.
  package init(path: String) throws(Failure) {
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .inputOutput("read", path, errno: errno) }
    do throws(Failure) {
      size = try ordinarySize(of: descriptor, path)
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
  }

  deinit { close(descriptor) }

  /// Fills `bytes` from `offset` on. Safe to call from several threads at once.
  ///
  /// - Throws: `Failure`: `data` when the file ends before that, else `inputOutput`.
  package func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
      let count = unsafe pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw .inputOutput("read", path, errno: errno)
      }
      guard count > 0 else {
        throw .data("\(path) ends at byte \(offset + done), before byte \(offset + bytes.count)")
      }
      done += count
    }
  }

  /// The `count` bytes from `offset` on.
  ///
  /// - Throws: `Failure`: `data` when the file ends before that, else `inputOutput`.
  package func read(_ count: Int, at offset: Int) throws(Failure) -> [UInt8] {
    guard offset >= 0, count >= 0, count <= size - offset else {
      throw .data("\(path) ends at byte \(size), before byte \(offset) + \(count)")
    }
    var failure: Failure?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(Failure) {
        unsafe try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        filled = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// The number of bytes of an open file.
///
/// - Throws: `Failure` of kind `inputOutput`, also for what is not an ordinary file.
func ordinarySize(of descriptor: Int32, _ path: String) throws(Failure) -> Int {
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else {
    throw .inputOutput("read", path, errno: errno)
  }
  switch status.st_mode & S_IFMT {
  case S_IFREG: return Int(status.st_size)
  case S_IFDIR: throw .inputOutput("read", path, errno: EISDIR)
  default: throw Failure(.inputOutput, "cannot read \(path): not an ordinary file")
  }
}
