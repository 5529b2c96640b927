import Storage

/// What a ``LogReader`` reads with, as a value: its loop takes no dynamic exclusivity checks.
///
/// `user` and `item` point into its buffer and are valid until the next call of ``next()``; within
/// that time reading them is safe.
@safe
struct LogScanner: ~Copyable, RowScanner {
  static let expectation = "user, item, rating"

  let path: String
  let hasHeader: Bool
  private(set) var rows = 0
  private(set) var user = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var item = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var rating: Double?
  /// See ``TimeKey``; always missing unless the scanner reads times.
  private(set) var time = TimeKey.missing
  private let readsTimes: Bool
  private var lines: LineReader
  private let splitter: FieldSplitter
  private var isHeaderPending: Bool

  var separator: Separator { splitter.separator }

  /// Opens a log.
  ///
  /// - Parameters:
  ///   - path: A text file.
  ///   - readsTimes: Whether timestamps are read; else they are not looked at.
  /// - Returns: A scanner before the first row.
  /// - Throws: `Failure`: `inputOutput` when it cannot be read, data when it has no rows.
  static func open(
    _ path: String, readsTimes: Bool = false
  ) throws(Failure) -> LogScanner {
    let lines = try LineReader.open(path)
    let preview = lines.preview(2)
    guard let first = preview.first else {
      throw .data("\(path): the file is empty; expected rows of \(expectation)")
    }
    let splitter = FieldSplitter(Separator(detectingIn: first))
    let hasHeader = Self.isHeader(preview, splitter)
    guard !hasHeader || preview.count > 1 else {
      throw .data("\(path): the file holds a header and no rows")
    }
    return LogScanner(lines, splitter, hasHeader: hasHeader, readsTimes: readsTimes)
  }

  private init(
    _ lines: consuming LineReader, _ splitter: consuming FieldSplitter, hasHeader: Bool,
    readsTimes: Bool
  ) {
    path = lines.path
    self.hasHeader = hasHeader
    self.readsTimes = readsTimes
    isHeaderPending = hasHeader
    self.lines = lines
    self.splitter = splitter
  }

  /// The number of the last row's line, from 1.
  var line: Int { lines.number }
  /// Bytes of the file; final once `next` has returned `false`.
  var bytes: Int { lines.bytesRead }
  /// XXH64 of the file; final once `next` has returned `false`.
  var checksum: UInt64 { lines.checksum.finalize() }

  /// Reads one more row into ``user``, ``item`` and ``rating``.
  ///
  /// - Returns: `false` after the last row.
  /// - Throws: `Failure`: data naming file and line for a row that is not one, or `inputOutput`.
  @inline(__always)
  mutating func next() throws(Failure) -> Bool {
    while let line = unsafe try lines.next() {
      if unsafe line.isEmpty { continue }
      let count = unsafe splitter.split(line)
      // Only blanks: nothing to split at.
      if count == 0 { continue }
      if isHeaderPending {
        isHeaderPending = false
        continue
      }
      unsafe try take(line, count)
      rows += 1
      return true
    }
    return false
  }

  @inline(__always)
  private mutating func take(_ line: UnsafeRawBufferPointer, _ count: Int) throws(Failure) {
    guard count >= 2, count <= 4 else { throw wrongCount(count) }
    unsafe user = unsafe splitter.field(0, of: line)
    unsafe item = unsafe splitter.field(1, of: line)
    guard unsafe !user.isEmpty else { throw failure("the user id is empty; every row needs one") }
    guard unsafe !item.isEmpty else { throw failure("the item id is empty; every row needs one") }
    rating = nil
    if readsTimes { time = unsafe try timeKey(line, count) }
    guard count > 2 else { return }
    let field = unsafe splitter.field(2, of: line)
    // Most ratings are one digit.
    if field.count == 1, unsafe Ascii.isDigit(field[0]) {
      rating = unsafe Double(field[0] &- Ascii.zero)
    } else {
      rating = unsafe try number(field)
    }
  }

  private func timeKey(
    _ line: UnsafeRawBufferPointer, _ count: Int
  ) throws(Failure) -> UInt64 {
    guard count > 3 else { return TimeKey.missing }
    let field = unsafe splitter.field(3, of: line)
    switch unsafe RatingText(field) {
    case .number(let value): return TimeKey.key(value)
    case .missing: return TimeKey.missing
    case .notFinite, .notNumeric:
      throw failure(
        "timestamp '\(unsafe excerpt(field))' is not a finite number; write seconds, or leave the "
          + "field out and keep the file in the order of time")
    }
  }

  private func wrongCount(_ count: Int) -> Failure {
    count < 2
      ? failure("one field where user and item are expected, separated by \(separatorName)")
      : failure(
        "more than 4 fields (user, item, rating, timestamp) separated by \(separatorName); "
          + "understood are tabs, ::, commas and blanks, decided by the first line")
  }

  private func number(_ field: UnsafeRawBufferPointer) throws(Failure) -> Double? {
    switch unsafe RatingText(field) {
    case .number(let value): return value
    case .missing: return nil
    case .notFinite:
      let text = unsafe excerpt(field)
      throw failure("rating '\(text)' is not finite; ratings are finite numbers")
    case .notNumeric:
      let text = unsafe excerpt(field)
      throw failure(
        "rating '\(text)' is not a number; write a decimal number, or nothing for an exposure "
          + "without reaction")
    }
  }

  /// A data failure at the current line.
  func failure(_ message: String) -> Failure { .data("\(path):\(line): \(message)") }

  private var separatorName: String {
    switch separator {
    case .tab: "tabs"
    case .doubleColon: "::"
    case .comma: "commas"
    case .blanks: "blanks"
    }
  }

  private static func isHeader(_ preview: [[UInt8]], _ splitter: borrowing FieldSplitter) -> Bool {
    var ratings: [RatingText?] = []
    for line in preview {
      let rating = unsafe line.withUnsafeBytes {
        unsafe splitter.split($0) > 2 ? RatingText(splitter.field(2, of: $0)) : nil
      }
      ratings.append(rating)
    }
    let name = unsafe preview[0].withUnsafeBytes { bytes in
      unsafe splitter.split(bytes) > 1
        ? String(decoding: splitter.field(0, of: bytes), as: UTF8.self) : ""
    }
    if ["user", "userid", "user_id", "uid"].contains(name.lowercased()) { return true }
    guard ratings.count == 2, case .number = ratings[1] else { return false }
    return ratings[0] == .notNumeric
  }
}

/// At most 80 bytes of a field, for a message of one line.
func excerpt(_ bytes: UnsafeRawBufferPointer) -> String {
  // One byte more than is shown tells that there is more.
  unsafe Storage.excerpt(String(decoding: bytes.prefix(81), as: UTF8.self))
}
