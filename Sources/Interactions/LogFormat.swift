import Storage

/// How the lines of a log are read.
package enum LogFormat: String, Sendable, CaseIterable {
  /// `user item [rating [timestamp]]`, one row per line.
  case log
  /// `user item item …`, one user per line, separated by blanks: the lines of LightGCN (He et al.,
  /// SIGIR 2020) and NGCF (Wang et al., SIGIR 2019). There are no ratings.
  case adjacency
}

/// What a row without a rating says.
package enum UnratedRows: String, Codable, Sendable, CaseIterable {
  /// An exposure without reaction.
  case exposure
  /// An explicit positive reaction, as in logs that hold nothing else.
  case positive
}

/// A source of rows, one after the other; what it points to is valid until the next call.
protocol RowScanner: ~Copyable {
  var path: String { get }
  /// Rows returned so far.
  var rows: Int { get }
  var user: UnsafeRawBufferPointer { get }
  var item: UnsafeRawBufferPointer { get }
  var rating: Double? { get }
  /// See ``TimeKey``.
  var time: UInt64 { get }
  /// The number of the last row's line, from 1.
  var line: Int { get }
  /// Bytes of the file and their XXH64; final once `next` has returned `false`.
  var bytes: Int { get }
  var checksum: UInt64 { get }
  /// What a file without rows lacks.
  static var expectation: String { get }
  mutating func next() throws(Failure) -> Bool
  func failure(_ message: String) -> Failure
}

/// Timestamps as whole numbers that sort alike.
enum TimeKey {
  /// Of a row without a timestamp: before all others.
  static let missing: UInt64 = 0

  /// The key of a finite timestamp; above ``missing``.
  static func key(_ time: Double) -> UInt64 {
    // Adding zero turns a negative zero into the other one.
    let bits = (time + 0).bitPattern
    return bits >> 63 == 1 ? ~bits : bits | 1 << 63
  }
}
