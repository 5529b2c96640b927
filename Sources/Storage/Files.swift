import Foundation

/// What the modules ask of the file system, with errors that name the file.
package enum Files {
  /// Everything before the last `/`, or `.`.
  package static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Everything after the last `/`.
  package static func name(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return path }
    return String(path[path.index(after: slash)...])
  }

  /// Creates a directory and, if asked for, its parents; one that exists is fine.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func createDirectory(
    _ path: String, makingParents: Bool = true
  ) throws(Failure) {
    if unsafe mkdir(path, 0o755) == 0 { return }
    var code = errno
    if code == ENOENT, makingParents, parent(of: path) != path {
      try createDirectory(parent(of: path))
      if unsafe mkdir(path, 0o755) == 0 { return }
      code = errno
    }
    var status = stat()
    if code == EEXIST, unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      return
    }
    throw .inputOutput("create", path, errno: code)
  }

  /// Removes a file or a whole directory; one that is not there is fine.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func remove(_ path: String) throws(Failure) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      throw Failure(.inputOutput, "cannot remove \(path): \(error.localizedDescription)")
    }
  }

  /// Waits until a file's bytes, or a directory's names, are on the disk.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func synchronize(_ path: String) throws(Failure) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .inputOutput("read", path, errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .inputOutput("write", path, errno: errno) }
  }

  /// Replaces a file in one step: readers see the old bytes or the new ones, never a mixture.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - bytes: Its new content.
  ///   - durable: Whether to wait until the new bytes are on the disk. Without it, a machine that
  ///     loses power soon after may be left with neither; for files that can be made again.
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func replace(
    _ path: String, with bytes: [UInt8], durable: Bool = true
  ) throws(Failure) {
    let temporary = "\(path).partial"
    try remove(temporary)
    let writer = try FileWriter(path: temporary)
    do throws(Failure) {
      try writer.append(contentsOf: bytes)
      _ = try writer.close(durable: durable)
      try rename(temporary, to: path)
    } catch {
      try? remove(temporary)
      throw error
    }
    if durable { try synchronize(parent(of: path)) }
  }

  /// The whole content of a file.
  ///
  /// - Parameters:
  ///   - path: An ordinary file.
  ///   - limit: The most bytes it may have.
  /// - Returns: Its bytes.
  /// - Throws: `Failure`: data for a longer file, else `inputOutput`.
  package static func read(_ path: String, atMost limit: Int = .max) throws(Failure) -> [UInt8] {
    let file = try MappedFile(reading: path, atMost: limit)
    return unsafe [UInt8](file.bytes)
  }

  /// The names in a directory, in the order of their bytes.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func names(in path: String) throws(Failure) -> [String] {
    do {
      let names = try FileManager.default.contentsOfDirectory(atPath: path)
      return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    } catch {
      throw Failure(.inputOutput, "cannot read \(path): \(error.localizedDescription)")
    }
  }

  /// Whether anything stands under this name.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0
  }

  /// Gives a file or a directory another name in one step; a file under that name is replaced.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package static func rename(_ path: String, to destination: String) throws(Failure) {
    guard unsafe Foundation.rename(path, destination) == 0 else {
      throw .inputOutput("rename", "\(path) to \(name(of: destination))", errno: errno)
    }
  }

  /// The number of bytes of a file, or `nil` when it is not there.
  package static func size(of path: String) -> Int? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? Int(status.st_size) : nil
  }
}
