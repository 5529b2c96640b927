internal import CMPI
internal import Fabric
internal import Foundation

/// A file that the ranks of an MPI job have open through MPI-IO.
///
/// Opening, closing and waiting for the disk are collective calls of the library. Reading and
/// writing are not: every rank moves its own bytes and compares the library's count of what
/// arrived. The collective `MPI_File_write_at_all` of Open MPI 4.1 hands the bytes to other ranks,
/// and reports success and the full count even when the disk was full there.
///
/// Safe to use: the handle is valid until ``close()``, which may be called once.
@safe
final class CommunicatorFile: SharedFile {
  private let path: String
  private let group: Communicator
  private var handle: MPI_File?
  private let isNew: Bool
  private var isOpen = true

  /// Opens the file; rank 0 removes what is in the way of a new one.
  init(_ path: String, _ mode: SharedFileMode, of group: Communicator) throws {
    self.path = path
    self.group = group
    switch mode {
    case .read:
      isNew = false
      try group.begin(.openFile, count: 0, detail: path.utf8.hashed)
      defer { group.calls.end() }
      try check("open", "MPI_File_open") {
        unsafe MPI_File_open(MPI_COMM_WORLD, path, CInt(MPI_MODE_RDONLY), MPI_INFO_NULL, &handle)
      }
    case .create(let size):
      isNew = true
      try group.begin(.createFile, count: size, detail: path.utf8.hashed)
      defer { group.calls.end() }
      if group.rank == 0, unsafe unlink(path) != 0, errno != ENOENT {
        throw SharedFileError("create", path, rank: 0, errno: errno)
      }
      unsafe try MPI.check("MPI_Barrier", MPI_Barrier(MPI_COMM_WORLD))
      try check("create", "MPI_File_open") {
        unsafe MPI_File_open(
          MPI_COMM_WORLD, path, CInt(MPI_MODE_CREATE | MPI_MODE_RDWR), MPI_INFO_NULL, &handle)
      }
      try check("create", "MPI_File_set_size") {
        unsafe MPI_File_set_size(handle, MPI_Offset(size))
      }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    try group.begin(.writeFile, count: 0, detail: 0)
    defer { group.calls.end() }
    var done = 0
    while done < bytes.count {
      let start = unsafe bytes.baseAddress?.advanced(by: done)
      let count = CInt(min(bytes.count - done, group.maximumCount))
      if count < bytes.count - done { group.splits.writes += 1 }
      let (written, code) = unsafe try move("write", "MPI_File_write_at") {
        unsafe MPI_File_write_at(handle, MPI_Offset(offset + done), start, count, MPI_BYTE, $0)
      }
      guard written > 0 else { throw error("write", "nothing was written", code) }
      done += written
    }
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    try group.begin(.readFile, count: 0, detail: 0)
    defer { group.calls.end() }
    var done = 0
    while done < bytes.count {
      let start = unsafe bytes.baseAddress?.advanced(by: done)
      let count = CInt(min(bytes.count - done, group.maximumCount))
      if count < bytes.count - done { group.splits.reads += 1 }
      let (read, _) = unsafe try move("read", "MPI_File_read_at") {
        unsafe MPI_File_read_at(handle, MPI_Offset(offset + done), start, count, MPI_BYTE, $0)
      }
      guard read > 0 else {
        throw SharedFileError(path, rank: group.rank, endsAt: offset + done)
      }
      done += read
    }
  }

  func close() throws {
    precondition(isOpen, "a shared file is closed once")
    isOpen = false
    // A call of its own, so that a rank whose disk hangs is seen to be late for the next.
    if isNew {
      try group.begin(.synchronizeFile, count: 0, detail: 0)
      defer { group.calls.end() }
      try check("write", "MPI_File_sync") { unsafe MPI_File_sync(handle) }
    }
    try group.begin(.closeFile, count: 0, detail: 0)
    defer { group.calls.end() }
    try check("close", "MPI_File_close") { unsafe MPI_File_close(&handle) }
  }

  /// Calls the library and returns the number of bytes it moved, with the error number left by the
  /// operating system: the library may report a full disk in no other way.
  private func move(
    _ action: String, _ operation: String, _ call: (UnsafeMutablePointer<MPI_Status>) -> CInt
  ) throws -> (count: Int, code: Int32) {
    var status = MPI_Status()
    var count: CInt = 0
    let code = try check(action, operation) { unsafe call(&status) }
    try check(action, "MPI_Get_count") { unsafe MPI_Get_count(&status, MPI_BYTE, &count) }
    return (Int(count), code)
  }

  @discardableResult
  private func check(
    _ action: String, _ operation: String, _ call: () -> CInt
  ) throws(SharedFileError) -> Int32 {
    errno = 0
    let code = call()
    let systemCode = errno
    guard code != MPI_SUCCESS else { return systemCode }
    // Where the library has a word of its own for the cause, `errno` may be left from elsewhere.
    var errorClass = CInt(MPI_ERR_UNKNOWN)
    unsafe MPI_Error_class(code, &errorClass)
    let isVague = [MPI_ERR_IO, MPI_ERR_OTHER, MPI_ERR_UNKNOWN].contains(errorClass)
    throw error(action, "\(MPIError(code, in: operation))", isVague ? systemCode : 0)
  }

  private func error(_ action: String, _ reason: String, _ code: Int32) -> SharedFileError {
    let cause = code == 0 ? "" : unsafe " (\(String(cString: strerror(code))))"
    return SharedFileError(action, path, rank: group.rank, reason: reason + cause)
  }
}
