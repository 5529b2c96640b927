import Foundation
import Storage
import Testing

/// Files beyond 4 GiB, with holes that take no space, and what is no ordinary file.
@Suite struct LargeFileTests {
  private func withDirectory(_ body: (String) throws -> Void) throws {
    let root = NSTemporaryDirectory() + "inverse-large-\(UUID().uuidString)"
    try Files.createDirectory(root)
    defer { try? Files.remove(root) }
    try body(root)
  }

  /// A file of `size` bytes that are zero but for the last ones.
  private func makeSparse(_ path: String, size: Int, ending: [UInt8]) throws {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(ftruncate(descriptor, off_t(size)) == 0)
    try #require(
      unsafe ending.withUnsafeBytes { unsafe writeAll(descriptor, $0, at: size - $0.count) } == 0)
  }

  @Test func bytesBeyondFourGiBAreReadAndMapped() throws {
    try withDirectory { root in
      let path = root + "/sparse"
      let size = 5 << 30 + 3
      try makeSparse(path, size: size, ending: [1, 2, 3])
      #expect(Files.size(of: path) == size)
      let reader = try FileReader(path: path)
      #expect(reader.size == size)
      #expect(try reader.read(4, at: size - 4) == [0, 1, 2, 3])
      let mapped = try MappedFile(reading: path)
      unsafe #expect(mapped.bytes.count == size)
      unsafe #expect(mapped.bytes[size - 1] == 3 && mapped.bytes[1 << 32] == 0)
    }
  }

  @Test func filesLongerThanAllowedAreNotRead() throws {
    try withDirectory { root in
      let path = root + "/sparse"
      try makeSparse(path, size: 1 << 40, ending: [])
      let failure = #expect(throws: Failure.self) { try Files.read(path, atMost: 1 << 20) }
      #expect(failure?.kind == .data)
      #expect(
        failure?.message
          == "\(path) has 1099511627776 bytes, more than the 1048576 that are ever read")
    }
  }

  /// Nobody ever writes into the pipe: opening it must not wait.
  @Test func whatIsNotAnOrdinaryFileIsRefused() throws {
    try withDirectory { root in
      unsafe try #require(mkfifo(root + "/pipe", 0o600) == 0)
      for path in [root + "/pipe", "/dev/zero"] {
        let failure = #expect(throws: Failure.self) { try Files.read(path) }
        #expect(failure == Failure(.inputOutput, "cannot read \(path): not an ordinary file"))
      }
      let directory = #expect(throws: Failure.self) { try Files.read(root) }
      #expect(directory?.message == "cannot read \(root): Is a directory")
    }
  }

  @Test func excerptsAreOneShortLine() {
    #expect(excerpt("ordinary text") == "ordinary text")
    #expect(excerpt("two\nlines\r\n\t\u{1B}[31m\u{0}\u{2028}end") == "two lines    [31m  end")
    #expect(excerpt(String(repeating: "x", count: 80)).utf8.count == 80)
    #expect(excerpt(String(repeating: "x", count: 81)) == String(repeating: "x", count: 80) + "…")
    #expect(excerpt(String(repeating: "é", count: 1 << 20)).unicodeScalars.count == 41)
  }
}
