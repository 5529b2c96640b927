import Storage

/// Reads the JSON of files that nobody vouches for, one value after the other.
///
/// It builds no tree, so what it needs does not grow with what it is fed, and it knows only what
/// headers and manifests hold: objects, arrays, strings and integers. Everything else, and a
/// member that occurs twice, is an error that names the byte.
struct JSONScanner {
  private let bytes: [UInt8]
  private let subject: String
  private var position = 0

  /// - Parameters:
  ///   - bytes: The text, UTF-8.
  ///   - subject: What is being read, for messages: `model.safetensors: header`.
  init(_ bytes: [UInt8], subject: String) {
    self.bytes = bytes
    self.subject = subject
  }

  /// An error at the current byte.
  func failure(_ what: String) -> Failure {
    .data("\(subject) is not valid: \(what) at byte \(position)")
  }

  /// Reads an object and hands each key to `member`, which reads the value.
  mutating func object(
    _ member: (inout JSONScanner, String) throws(Failure) -> Void
  ) throws(Failure) {
    try expect("{")
    var keys: Set<String> = []
    if take("}") { return }
    repeat {
      let key = try string()
      guard keys.insert(key).inserted else { throw failure("\"\(excerpt(key))\" occurs twice") }
      try expect(":")
      try member(&self, key)
    } while take(",")
    try expect("}")
  }

  /// Reads an array of at most `limit` integers.
  mutating func integers(limit: Int) throws(Failure) -> [Int] {
    try expect("[")
    var values: [Int] = []
    if take("]") { return values }
    repeat {
      guard values.count < limit else { throw failure("more than \(limit) numbers") }
      values.append(try integer())
    } while take(",")
    try expect("]")
    return values
  }

  /// Reads an integer that is not negative.
  mutating func integer() throws(Failure) -> Int {
    skipBlanks()
    let start = position
    var value = 0
    while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
      let (product, tooBig) = value.multipliedReportingOverflow(by: 10)
      let (sum, stillTooBig) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !tooBig, !stillTooBig else { throw failure("a number beyond 2^63 - 1") }
      value = sum
      position += 1
    }
    guard position > start else { throw failure("no integer of 0 or more") }
    guard bytes[start] != UInt8(ascii: "0") || position == start + 1 else {
      throw failure("a number with a leading zero")
    }
    // A fraction or an exponent is refused by whoever expects the next comma or bracket.
    return value
  }

  /// Reads a string.
  mutating func string() throws(Failure) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while let byte = peek() {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw failure("a string that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): text += try escape()
      case 0..<0x20: throw failure("a control character in a string")
      default: text.append(byte)
      }
    }
    throw failure("a string without end")
  }

  /// Checks that nothing but blanks follows.
  mutating func end() throws(Failure) {
    skipBlanks()
    guard position == bytes.count else { throw failure("text after the end") }
  }

  private mutating func escape() throws(Failure) -> [UInt8] {
    guard let byte = peek() else { throw failure("a string without end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return try unicode()
    default: throw failure("an unknown escape")
    }
  }

  private mutating func unicode() throws(Failure) -> [UInt8] {
    var code = try codeUnit()
    if (0xD800..<0xDC00).contains(code) {
      guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        throw failure("half a surrogate pair")
      }
      let low = try codeUnit()
      guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
      code = 0x1_0000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
    return Array(String(scalar).utf8)
  }

  private mutating func codeUnit() throws(Failure) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("an escape without four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipBlanks()
    return take(UInt8(ascii: character))
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Failure) {
    guard take(character) else { throw failure("no \(character)") }
  }
}

/// A string as JSON writes it, with quotes; only what must be escaped is.
func jsonLiteral(_ text: String) -> String {
  var literal = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": literal += "\\\""
    case "\\": literal += "\\\\"
    case "\n": literal += "\\n"
    case "\r": literal += "\\r"
    case "\t": literal += "\\t"
    case _ where scalar.value < 0x20:
      literal += scalar.value < 0x10 ? "\\u000" : "\\u00"
      literal += String(scalar.value, radix: 16)
    default: literal.unicodeScalars.append(scalar)
    }
  }
  return literal + "\""
}
