import Foundation

/// What the rating field of a row says.
enum RatingText: Equatable {
  case number(Double)
  /// No digits at all: the row is an exposure without reaction.
  case missing
  case notFinite
  case notNumeric

  private static let powersOfTen: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
  ]

  /// Reads a decimal or scientific number; blanks around it are ignored.
  ///
  /// Up to 15 digits without an exponent are exact in a `Double`, and so is the power of ten below
  /// them: one division rounds correctly. Everything else goes to `strtod`.
  init(_ field: UnsafeRawBufferPointer) {
    var (start, end) = (0, field.count)
    while start < end, unsafe Ascii.isBlank(field[start]) { start += 1 }
    while end > start, unsafe Ascii.isBlank(field[end - 1]) { end -= 1 }
    guard start < end else {
      self = .missing
      return
    }
    let text = unsafe UnsafeRawBufferPointer(rebasing: field[start..<end])
    self = unsafe Self.short(text) ?? Self.long(text)
  }

  private static func short(_ text: UnsafeRawBufferPointer) -> RatingText? {
    guard text.count <= 17 else { return nil }
    var position = unsafe text[0] == Ascii.minus || text[0] == Ascii.plus ? 1 : 0
    var (value, digits, decimals, sawPoint) = (0, 0, 0, false)
    while position < text.count {
      let byte = unsafe text[position]
      if Ascii.isDigit(byte) {
        value = value &* 10 &+ Int(byte &- Ascii.zero)
        digits += 1
        if sawPoint { decimals += 1 }
      } else if byte == Ascii.point, !sawPoint {
        sawPoint = true
      } else {
        return nil
      }
      position += 1
    }
    guard digits > 0, digits <= 15 else { return nil }
    let magnitude = Double(value) / powersOfTen[decimals]
    return unsafe .number(text[0] == Ascii.minus ? -magnitude : magnitude)
  }

  private static func long(_ text: UnsafeRawBufferPointer) -> RatingText {
    // strtod knows hexadecimal numbers and names; a log may only hold decimal ones.
    let isDecimal = unsafe text.allSatisfy { byte in
      Ascii.isDigit(byte) || byte == Ascii.point || byte == Ascii.minus || byte == Ascii.plus
        || byte | 0x20 == UInt8(ascii: "e")
    }
    guard isDecimal else {
      let name = unsafe String(decoding: text, as: UTF8.self).lowercased()
      let unsigned = name.hasPrefix("-") || name.hasPrefix("+") ? String(name.dropFirst()) : name
      return ["nan", "inf", "infinity"].contains(unsigned) ? .notFinite : .notNumeric
    }
    let terminated = unsafe text.map { CChar(bitPattern: $0) } + [0]
    let (value, consumed) = unsafe terminated.withUnsafeBufferPointer { buffer -> (Double, Int) in
      guard let base = buffer.baseAddress else { return (0, 0) }
      var end: UnsafeMutablePointer<CChar>?
      let value = unsafe strtod(base, &end)
      return unsafe (value, end.map { unsafe UnsafePointer($0) - base } ?? 0)
    }
    guard consumed == text.count else { return .notNumeric }
    return value.isFinite ? .number(value) : .notFinite
  }
}
