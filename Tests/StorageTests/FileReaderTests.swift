import Foundation
import Storage
import Testing

@Suite struct FileReaderTests {
  private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    let root = NSTemporaryDirectory() + "inverse-reader-\(UUID().uuidString)"
    try Files.createDirectory(root)
    defer { try? Files.remove(root) }
    try Files.replace(root + "/file", with: bytes)
    try body(root + "/file")
  }

  @Test func piecesAreReadFromAnywhere() throws {
    try withFile(Array(0..<100)) { path in
      let file = try FileReader(path: path)
      #expect(file.size == 100)
      #expect(try file.read(3, at: 97) == [97, 98, 99])
      #expect(try file.read(0, at: 100) == [])
      var bytes: [UInt8] = [0, 0]
      unsafe try bytes.withUnsafeMutableBytes { unsafe try file.read(into: $0, at: 40) }
      #expect(bytes == [40, 41])
    }
  }

  @Test(arguments: [(1, 100), (101, 0), (.max, 1), (-1, 0), (1, -1), (4, 98)])
  func whatLiesBeyondTheFileIsAnError(count: Int, offset: Int) throws {
    try withFile(Array(0..<100)) { path in
      let file = try FileReader(path: path)
      let failure = #expect(throws: Failure.self) { try file.read(count, at: offset) }
      #expect(failure?.kind == .data)
    }
  }

  /// A mapped file would end the program here.
  @Test func aFileCutShortWhileOpenIsAnError() throws {
    try withFile(Array(0..<100)) { path in
      let file = try FileReader(path: path)
      try #require(unsafe truncate(path, 50) == 0)
      #expect(try file.read(10, at: 40).last == 49)
      let failure = #expect(throws: Failure.self) { try file.read(20, at: 40) }
      #expect(failure?.message == "\(path) ends at byte 50, before byte 60")
    }
  }

  @Test func namesAreListedAndChanged() throws {
    try withFile([1]) { path in
      let root = Files.parent(of: path)
      try Files.rename(path, to: root + "/b")
      try Files.replace(root + "/a", with: [2])
      #expect(try Files.names(in: root) == ["a", "b"])
      #expect(Files.exists(root + "/a") && !Files.exists(path))
      try Files.rename(root + "/a", to: root + "/b")
      #expect(try Files.read(root + "/b") == [2])
      let missing = #expect(throws: Failure.self) { try Files.rename(path, to: root + "/c") }
      #expect(
        missing?.message == "cannot rename \(path) to c: No such file or directory")
      let unlisted = #expect(throws: Failure.self) { try Files.names(in: path) }
      #expect(unlisted?.kind == .inputOutput)
    }
  }
}
