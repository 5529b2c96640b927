/// What stands between the fields of a log; decided once for a file, by its first line.
///
/// The first of these that the line contains wins: a tab, `::`, a comma, a run of blanks.
package enum Separator: String, Sendable, CaseIterable {
  case tab
  case doubleColon = "::"
  case comma
  case blanks

  /// The separator of the file that begins with `line`.
  init(detectingIn line: [UInt8]) {
    if line.contains(Ascii.tab) {
      self = .tab
    } else if zip(line, line.dropFirst()).contains(where: { $0 == Ascii.colon && $1 == Ascii.colon }
    ) {
      self = .doubleColon
    } else if line.contains(Ascii.comma) {
      self = .comma
    } else {
      self = .blanks
    }
  }
}

/// The bytes that mean something in a log.
enum Ascii {
  static let tab = UInt8(ascii: "\t")
  static let newline = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " ")
  static let comma = UInt8(ascii: ",")
  static let colon = UInt8(ascii: ":")
  static let zero = UInt8(ascii: "0")
  static let nine = UInt8(ascii: "9")
  static let plus = UInt8(ascii: "+")
  static let minus = UInt8(ascii: "-")
  static let point = UInt8(ascii: ".")
  static let opening = UInt8(ascii: "(")

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }
}
