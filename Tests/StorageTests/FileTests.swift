import Foundation
import Storage
import Testing

@Suite struct FileTests {
  /// A fresh directory, removed afterwards.
  func withDirectory(_ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "inverse-storage-\(UUID().uuidString)"
    try Files.createDirectory(path)
    defer { try? Files.remove(path) }
    try body(path)
  }

  @Test func aStagedDirectoryAppearsOnlyWhenCommitted() throws {
    try withDirectory { root in
      let path = root + "/deep/result/"
      let staged = try StagedDirectory(destination: path)
      let writer = try FileWriter(path: staged.file("x"))
      try writer.append(UInt32(0x0403_0201))
      let checksum = try writer.close()
      #expect(!FileManager.default.fileExists(atPath: path))
      try staged.commit()
      let bytes = try Files.read(root + "/deep/result/x")
      #expect(bytes == [1, 2, 3, 4])
      unsafe #expect(bytes.withUnsafeBytes { unsafe XXHash64.hash($0) } == checksum)
      #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/deep") == ["result"])
    }
  }

  @Test func anAbandonedStagedDirectoryLeavesNothing() throws {
    try withDirectory { root in
      do {
        let staged = try StagedDirectory(destination: root + "/result")
        _ = try FileWriter(path: staged.file("x")).close()
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: root).isEmpty)
    }
  }

  @Test func aStagedDirectoryNeverReplacesContent() throws {
    try withDirectory { root in
      try Files.replace(root + "/file", with: [1])
      let error = #expect(throws: Failure.self) { try StagedDirectory(destination: root) }
      #expect(error?.kind == .usage)
      #expect(throws: Failure.self) { try StagedDirectory(destination: root + "/file") }
    }
  }

  @Test func replacingAFileLeavesOnlyTheNewBytes() throws {
    try withDirectory { root in
      try Files.replace(root + "/state", with: [1, 2, 3])
      try Files.replace(root + "/state", with: [9])
      #expect(try Files.read(root + "/state") == [9])
      #expect(try FileManager.default.contentsOfDirectory(atPath: root) == ["state"])
    }
  }

  @Test func mappedFilesReadWhatWasWritten() throws {
    try withDirectory { root in
      do {
        let file = try MappedFile(creating: root + "/m", count: 8)
        unsafe file.bytes.storeBytes(of: 42, toByteOffset: 0, as: UInt64.self)
        try file.synchronize()
      }
      let file = try MappedFile(reading: root + "/m")
      #expect(unsafe file.readOnly.load(as: UInt64.self) == 42)
      #expect(throws: Failure.self) { try MappedFile(creating: root + "/m", count: 8) }
      let missing = #expect(throws: Failure.self) { try MappedFile(reading: root + "/absent") }
      #expect(missing?.kind == .inputOutput)
      #expect(missing?.message.contains("absent: No such file") == true)
    }
  }

  /// A full disk is told apart and named: `/dev/full` refuses every write.
  @Test func aFullDiskIsAnInputOutputError() throws {
    let descriptor = unsafe open("/dev/full", O_WRONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let code = unsafe [UInt8](repeating: 1, count: 10).withUnsafeBytes {
      unsafe writeAll(descriptor, $0, at: nil)
    }
    #expect(code == ENOSPC)
  }
}
