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
  private var scanner: LogScanner

  /// Opens a log.
  ///
  /// - Parameter path: A text file.
  /// - Throws: `Failure`: `inputOutput` when it cannot be read, data when it has no rows.
  package init(path: String) throws(Failure) { scanner = try LogScanner.open(path) }

  package var path: String { scanner.path }
  package var separator: Separator { scanner.separator }
  package var hasHeader: Bool { scanner.hasHeader }
  /// Rows returned so far.
  package var rows: Int { scanner.rows }
  /// The fields of the last row.
  package var user: UnsafeRawBufferPointer { unsafe scanner.user }
  package var item: UnsafeRawBufferPointer { unsafe scanner.item }
  /// The rating of the last row; `nil` for an exposure without reaction.
  package var rating: Double? { scanner.rating }
  /// The number of the last row's line, from 1.
  package var line: Int { scanner.line }
  /// Bytes of the file; final once `next` has returned `false`.
  package var bytes: Int { scanner.bytes }
  /// XXH64 of the file; final once `next` has returned `false`.
  package var checksum: UInt64 { scanner.checksum }

  /// Reads one more row into ``user``, ``item`` and ``rating``.
  ///
  /// - Returns: `false` after the last row.
  /// - Throws: `Failure`: data naming file and line for a row that is not one, or `inputOutput`.
  package func next() throws(Failure) -> Bool { try scanner.next() }

  /// A data failure at the current line.
  package func failure(_ message: String) -> Failure { scanner.failure(message) }
}
