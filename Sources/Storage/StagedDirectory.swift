import Foundation

/// A directory that appears under its name only when it is complete.
///
/// Files are written into a hidden sibling, `.NAME.partial`, which ``commit()`` flushes to the disk
/// and renames. After an error, or when the process dies, nothing stands under the final name.
package final class StagedDirectory {
  /// Where the directory will stand.
  package let destination: String
  /// Where files are written until then.
  package let path: String
  private var isFinished = false

  /// Creates the hidden sibling, removing one that a dead process left behind.
  ///
  /// - Parameter destination: The final path; it may exist only as an empty directory.
  /// - Throws: `Failure`: usage when `destination` holds something, else `inputOutput`.
  package init(destination: String) throws(Failure) {
    var trimmed = destination
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.destination = trimmed
    if let present = try? FileManager.default.contentsOfDirectory(atPath: trimmed) {
      guard present.isEmpty else {
        throw .usage("\(trimmed) already exists and is not empty; remove it or choose another name")
      }
    } else if FileManager.default.fileExists(atPath: trimmed) {
      throw .usage("\(trimmed) already exists and is not a directory")
    }
    let parent = Files.parent(of: trimmed)
    path = "\(parent)/.\(Files.name(of: trimmed)).partial"
    try Files.createDirectory(parent)
    try Files.remove(path)
    try Files.createDirectory(path)
  }

  deinit {
    // Nothing can be reported from here; what stays behind is hidden and is removed next time.
    if !isFinished { try? Files.remove(path) }
  }

  /// The path of a file inside.
  package func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Flushes the directory and gives it its final name.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package func commit() throws(Failure) {
    try Files.synchronize(path)
    // rename replaces an empty directory, and only an empty one.
    guard unsafe rename(path, destination) == 0 else {
      throw .inputOutput("create", destination, errno: errno)
    }
    isFinished = true
    try Files.synchronize(Files.parent(of: destination))
  }
}
