import Foundation
import Storage

/// The lines of a text file, read through one buffer of fixed size.
///
/// A line ends with LF or CR LF, the last one perhaps with nothing; a UTF-8 byte order mark at the
/// start is skipped. The buffer belongs to the reader, and a returned line points into it: it is
/// valid until the next call. Safe as long as that is kept, which ``LogReader`` does.
@safe
struct LineReader: ~Copyable {
  /// The longest line in bytes.
  static let maximumLength = 1 << 20

  let path: String
  /// The number of the last line returned, from 1.
  private(set) var number = 0
  /// Bytes read so far, and their checksum: the whole file once `next` has returned `nil`.
  private(set) var bytesRead = 0
  private(set) var checksum = XXHash64()
  private let descriptor: Int32
  private let capacity = 2 * LineReader.maximumLength
  private let buffer: UnsafeMutableRawPointer
  private var start = 0
  private var end = 0
  private var isAtEnd = false

  /// Opens the file and fills the buffer.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  static func open(_ path: String) throws(Failure) -> LineReader {
    let descriptor = unsafe Foundation.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .inputOutput("read", path, errno: errno) }
    var reader = LineReader(path: path, descriptor: descriptor)
    try reader.begin()
    return reader
  }

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
    unsafe buffer = .allocate(byteCount: capacity, alignment: 16)
  }

  private mutating func begin() throws(Failure) {
    while !isAtEnd, end < capacity { try fill() }
    if end >= 3,
      unsafe UnsafeRawBufferPointer(start: buffer, count: 3).elementsEqual([0xEF, 0xBB, 0xBF])
    {
      start = 3
    }
  }

  deinit {
    close(descriptor)
    unsafe buffer.deallocate()
  }

  /// Copies of the first lines that are not empty; only before the first call of `next`.
  func preview(_ count: Int) -> [[UInt8]] {
    let content = unsafe UnsafeRawBufferPointer(start: buffer + start, count: end - start)
    var lines: [[UInt8]] = []
    var position = 0
    while position < content.count, lines.count < count {
      let rest = unsafe content[position...]
      let stop = unsafe rest.firstIndex(of: Ascii.newline) ?? content.count
      var line = unsafe [UInt8](content[position..<stop])
      if line.last == Ascii.carriageReturn { line.removeLast() }
      if !line.allSatisfy(Ascii.isBlank) { lines.append(line) }
      position = stop + 1
    }
    return lines
  }

  /// The next line without its end, or `nil` after the last.
  ///
  /// - Throws: `Failure`: data for a line that is too long, `inputOutput` for a failed read.
  @inline(__always)
  mutating func next() throws(Failure) -> UnsafeRawBufferPointer? {
    var searched = 0
    while true {
      let available = end - start
      let found = unsafe memchr(
        buffer + start + searched, Int32(Ascii.newline), available - searched)
      if let found = unsafe found {
        return unsafe try take(found - (buffer + start), andSkip: 1)
      }
      if isAtEnd { return unsafe available == 0 ? nil : try take(available, andSkip: 0) }
      guard available <= Self.maximumLength else { return unsafe try take(available, andSkip: 0) }
      searched = available
      try fill()
    }
  }

  @inline(__always)
  private mutating func take(
    _ length: Int, andSkip terminator: Int
  ) throws(Failure) -> UnsafeRawBufferPointer {
    number += 1
    guard length <= Self.maximumLength else { throw tooLong() }
    var line = unsafe UnsafeRawBufferPointer(start: buffer + start, count: length)
    start += length + terminator
    if length > 0, unsafe line[length - 1] == Ascii.carriageReturn {
      unsafe line = UnsafeRawBufferPointer(start: line.baseAddress, count: length - 1)
    }
    return unsafe line
  }

  private func tooLong() -> Failure {
    .data(
      "\(path):\(number): the line is longer than \(Self.maximumLength) bytes; "
        + "is this a text file with one row per line?")
  }

  private mutating func fill() throws(Failure) {
    if start > 0 {
      unsafe memmove(buffer, buffer + start, end - start)
      end -= start
      start = 0
    }
    var count = unsafe read(descriptor, buffer + end, capacity - end)
    while count < 0, errno == EINTR {
      count = unsafe read(descriptor, buffer + end, capacity - end)
    }
    guard count >= 0 else { throw .inputOutput("read", path, errno: errno) }
    unsafe checksum.update(UnsafeRawBufferPointer(start: buffer + end, count: count))
    bytesRead += count
    end += count
    isAtEnd = count == 0
  }
}
