import Foundation

/// A shared file of ranks that live in one process: each rank has its own descriptor.
final class PosixFile: SharedFile {
  private let path: String
  private let rank: Int
  private let isNew: Bool
  private let descriptor: Int32
  private var isOpen = true
  /// Meets the other ranks, which must be making the call with this name.
  private let meet: (_ call: String) throws -> Void

  /// Opens the file; rank 0 creates it before the others open it.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - mode: The same on all ranks.
  ///   - rank: The calling rank.
  ///   - meet: Called once by every rank in every method.
  /// - Throws: `SharedFileError`, or what `meet` throws.
  init(
    _ path: String, _ mode: SharedFileMode, rank: Int, meet: @escaping (String) throws -> Void
  ) throws {
    switch mode {
    case .read:
      isNew = false
      descriptor = try Self.open(path, O_RDONLY, rank)
    case .create(let size):
      isNew = true
      if rank == 0 {
        descriptor = try Self.create(path, size)
      } else {
        try meet("create \(path) of \(size) bytes")
        descriptor = try Self.open(path, O_RDWR, rank)
      }
    }
    self.path = path
    self.rank = rank
    self.meet = meet
    // From here on `deinit` closes the descriptor, also after an error.
    if rank == 0, case .create(let size) = mode { try meet("create \(path) of \(size) bytes") }
    try meet("open \(path)")
  }

  deinit { if isOpen { Foundation.close(descriptor) } }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    let moved = Result { unsafe try writeAlone(bytes, at: offset) }
    try meet("write \(path)")
    try moved.get()
  }

  private func writeAlone(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = unsafe pwrite(
        descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done,
        off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SharedFileError("write", path, rank: rank, errno: errno) }
      done += count
    }
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    let moved = Result { unsafe try readAlone(into: bytes, at: offset) }
    try meet("read \(path)")
    try moved.get()
  }

  private func readAlone(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = unsafe pread(
        descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done,
        off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SharedFileError("read", path, rank: rank, errno: errno) }
      guard count > 0 else { throw SharedFileError(path, rank: rank, endsAt: offset + done) }
      done += count
    }
  }

  func close() throws {
    precondition(isOpen, "a shared file is closed once")
    isOpen = false
    let synchronized = isNew ? fsync(descriptor) : 0
    let code = errno
    let closed = Foundation.close(descriptor)
    try meet("close \(path)")
    guard synchronized == 0 else { throw SharedFileError("write", path, rank: rank, errno: code) }
    guard closed == 0 else { throw SharedFileError("close", path, rank: rank, errno: errno) }
  }

  private static func open(_ path: String, _ flags: Int32, _ rank: Int) throws -> Int32 {
    let descriptor = unsafe Foundation.open(path, flags | O_CLOEXEC)
    guard descriptor >= 0 else { throw SharedFileError("open", path, rank: rank, errno: errno) }
    return descriptor
  }

  private static func create(_ path: String, _ size: Int) throws -> Int32 {
    unsafe unlink(path)
    let descriptor = unsafe Foundation.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw SharedFileError("create", path, rank: 0, errno: errno) }
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      let code = errno
      Foundation.close(descriptor)
      throw SharedFileError("create", path, rank: 0, errno: code)
    }
    return descriptor
  }
}

extension SharedFileError {
  /// A call into the operating system left `code` in `errno`.
  package init(_ action: String, _ path: String, rank: Int, errno code: Int32) {
    unsafe self.init(action, path, rank: rank, reason: String(cString: strerror(code)))
  }

  /// A file ended while it was being read.
  package init(_ path: String, rank: Int, endsAt end: Int) {
    self.init("read", path, rank: rank, reason: "the file ends at byte \(end)")
  }
}
