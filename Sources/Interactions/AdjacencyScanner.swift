import Storage

/// The rows of a log in the format ``LogFormat/adjacency``: a user and the user's items per line.
///
/// Fields are separated by runs of blanks and tabs; empty lines are skipped, and a line that holds
/// only a user has no rows. The rows of a line all have its number. `user` and `item` point into
/// the buffer and are valid until the next call of ``next()``; within that time reading them is
/// safe.
@safe
struct AdjacencyScanner: ~Copyable, RowScanner {
  static let expectation = "lines of a user and the user's items, separated by blanks"

  let path: String
  private(set) var rows = 0
  private(set) var user = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var item = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private var lines: LineReader
  /// The line being read, and where its unread part starts.
  private var current = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private var position = 0

  var rating: Double? { nil }
  var time: UInt64 { TimeKey.missing }
  var line: Int { lines.number }
  var bytes: Int { lines.bytesRead }
  var checksum: UInt64 { lines.checksum.finalize() }

  /// Opens a log.
  ///
  /// - Throws: `Failure`: `inputOutput` when it cannot be read, data when it is empty.
  static func open(_ path: String) throws(Failure) -> AdjacencyScanner {
    let lines = try LineReader.open(path)
    guard !lines.preview(1).isEmpty else {
      throw .data("\(path): the file is empty; expected \(expectation)")
    }
    return AdjacencyScanner(lines)
  }

  private init(_ lines: consuming LineReader) {
    path = lines.path
    self.lines = lines
  }

  /// Reads one more row into ``user`` and ``item``.
  ///
  /// - Returns: `false` after the last row.
  /// - Throws: `Failure`: data for a line that is too long, or `inputOutput`.
  @inline(__always)
  mutating func next() throws(Failure) -> Bool {
    while true {
      let field = unsafe takeField()
      if unsafe !field.isEmpty {
        unsafe item = unsafe field
        rows += 1
        return true
      }
      guard let line = unsafe try lines.next() else { return false }
      unsafe current = unsafe line
      position = 0
      // A line of blanks leaves an empty user, and no item follows.
      unsafe user = unsafe takeField()
    }
  }

  /// A data failure at the current line.
  func failure(_ message: String) -> Failure { .data("\(path):\(line): \(message)") }

  /// The next field of the line, empty after the last.
  @inline(__always)
  private mutating func takeField() -> UnsafeRawBufferPointer {
    while unsafe position < current.count, unsafe Ascii.isBlank(current[position]) { position += 1 }
    let start = position
    while unsafe position < current.count, unsafe !Ascii.isBlank(current[position]) {
      position += 1
    }
    return unsafe UnsafeRawBufferPointer(
      start: current.baseAddress.map { unsafe $0 + start }, count: position - start)
  }
}
