package import Storage

/// The rows of an interaction log: `user item [rating [timestamp]]`, one per line.
///
/// Separators are decided by the first line (see ``Separator``). The first line is a header, and
/// skipped, when its first field is `user`, `userId`, `user_id` or `uid` in any case, or when its
/// rating is not a number but that of the second line is. Empty lines are skipped; lines may end
/// with CR LF; timestamps are not looked at. A row without a rating is an exposure without
/// reaction. Ids are taken byte for byte.
///
///     let reader = try LogReader(path: "log.tsv")
///     while try reader.next() { use(reader.user, reader.item, reader.rating) }
///
/// Memory does not grow with the file. `user` and `item` point into the reader's buffer and are
/// valid until the next call of ``next()``; reading them within that time is safe.
@safe
package final class LogReader {
  package let path: String
  package let separator: Separator
  package let hasHeader: Bool
  /// Rows returned so far.
  package private(set) var rows = 0
  /// The fields of the last row.
  package private(set) var user = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  package private(set) var item = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  /// The rating of the last row; `nil` for an exposure without reaction.
  package private(set) var rating: Double?

  private let lines: LineReader
  private let splitter: FieldSplitter
  private var isHeaderPending: Bool

  /// Opens a log.
  ///
  /// - Parameter path: A text file.
  /// - Throws: `Failure`: `inputOutput` when it cannot be read, data when it has no rows.
  package init(path: String) throws(Failure) {
    self.path = path
    lines = try LineReader(path: path)
    let preview = lines.preview(2)
    guard let first = preview.first else {
      throw .data("\(path): the file is empty; expected rows of user, item, rating")
    }
    separator = Separator(detectingIn: first)
    splitter = FieldSplitter(separator)
    hasHeader = Self.isHeader(preview, splitter)
    isHeaderPending = hasHeader
    guard !hasHeader || preview.count > 1 else {
      throw .data("\(path): the file holds a header and no rows")
    }
  }

  /// The number of the last row's line, from 1.
  package var line: Int { lines.number }
  /// Bytes of the file; final once `next` has returned `false`.
  package var bytes: Int { lines.bytesRead }
  /// XXH64 of the file; final once `next` has returned `false`.
  package var checksum: UInt64 { lines.checksum.finalize() }

  /// Reads one more row into ``user``, ``item`` and ``rating``.
  ///
  /// - Returns: `false` after the last row.
  /// - Throws: `Failure`: data naming file and line for a row that is not one, or `inputOutput`.
  package func next() throws(Failure) -> Bool {
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

  private func take(_ line: UnsafeRawBufferPointer, _ count: Int) throws(Failure) {
    guard count >= 2 else {
      throw failure("one field where user and item are expected, separated by \(separatorName)")
    }
    guard count <= 4 else {
      throw failure(
        "more than 4 fields (user, item, rating, timestamp) separated by \(separatorName); "
          + "understood are tabs, ::, commas and blanks, decided by the first line")
    }
    unsafe user = unsafe splitter.field(0, of: line)
    unsafe item = unsafe splitter.field(1, of: line)
    guard unsafe !user.isEmpty else { throw failure("the user id is empty; every row needs one") }
    guard unsafe !item.isEmpty else { throw failure("the item id is empty; every row needs one") }
    rating = nil
    guard count > 2 else { return }
    let field = unsafe splitter.field(2, of: line)
    switch unsafe RatingText(field) {
    case .number(let value): rating = value
    case .missing: break
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
  package func failure(_ message: String) -> Failure { .data("\(path):\(line): \(message)") }

  private var separatorName: String {
    switch separator {
    case .tab: "tabs"
    case .doubleColon: "::"
    case .comma: "commas"
    case .blanks: "blanks"
    }
  }

  private static func isHeader(_ preview: [[UInt8]], _ splitter: FieldSplitter) -> Bool {
    let ratings = preview.map { line -> RatingText? in
      unsafe line.withUnsafeBytes {
        unsafe splitter.split($0) > 2 ? RatingText(splitter.field(2, of: $0)) : nil
      }
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
  let text = unsafe String(decoding: bytes.prefix(80), as: UTF8.self)
  let printable = String(text.map { $0.isNewline || $0 == "\0" ? " " : $0 })
  return bytes.count > 80 ? printable + "…" : printable
}
