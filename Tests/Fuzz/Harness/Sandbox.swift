import Foundation
import Storage

/// A directory in memory, removed when the process ends.
struct Sandbox {
  let path: String

  init() throws {
    let parent = Files.exists("/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
    path = "\(parent)inverse-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
    try Files.remove(path)
    try Files.createDirectory(path)
    unsafe Self.current = path
    atexit { unsafe try? Files.remove(Sandbox.current) }
  }

  nonisolated(unsafe) private static var current = ""

  /// A path in it.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, over one that is there, without waiting for the disk.
  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let path = file(name)
    try Self.write(bytes, to: path)
    return path
  }

  /// Writes a file anywhere.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw SandboxError() }
    defer { close(descriptor) }
    guard unsafe bytes.withUnsafeBytes({ unsafe writeAll(descriptor, $0, at: nil) }) == 0 else {
      throw SandboxError()
    }
  }
}

/// The sandbox itself is broken, which ends the process.
struct SandboxError: Error {}

/// The files below a directory and their content, to be put back as they were.
struct Snapshot {
  let directory: String
  /// By path below the directory.
  let files: [String: [UInt8]]
  /// In a fixed order, for inputs to choose from.
  let names: [String]

  init(_ directory: String) throws {
    self.directory = directory
    var files: [String: [UInt8]] = [:]
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Files.names(in: "\(directory)/\(folder)") {
        let path = folder + name
        var status = stat()
        guard unsafe stat("\(directory)/\(path)", &status) == 0 else { throw SandboxError() }
        if status.st_mode & S_IFMT == S_IFDIR {
          folders.append(path + "/")
        } else {
          files[path] = try Files.read("\(directory)/\(path)")
        }
      }
    }
    self.files = files
    names = files.keys.sorted()
  }

  /// Writes all files anew into another directory.
  func restore(to other: String) throws {
    try Files.remove(other)
    var made: Set<String> = []
    for (name, content) in files {
      let folder = Files.parent(of: "\(other)/\(name)")
      if made.insert(folder).inserted { try Files.createDirectory(folder) }
      try Sandbox.write(content, to: "\(other)/\(name)")
    }
  }
}
