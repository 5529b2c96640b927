/// The bytes of an input, taken from the front: first decisions, then content.
struct Input {
  private var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  /// The next byte, 0 after the end.
  mutating func byte() -> Int { Int(bytes.popFirst() ?? 0) }

  /// The next bytes as a little-endian number.
  mutating func number(bytes count: Int) -> Int {
    (0..<count).reduce(0) { $0 | byte() << (8 * $1) }
  }

  var isEmpty: Bool { bytes.isEmpty }
  /// All that is left.
  var rest: [UInt8] { [UInt8](bytes) }

  /// Overwrites parts of `content` as the rest of the input says: places of 2 bytes, words of 4.
  mutating func patch(_ content: inout [UInt8]) {
    while !isEmpty, !content.isEmpty {
      let place = number(bytes: 2) % content.count
      for offset in 0..<4 where place + offset < content.count {
        content[place + offset] = UInt8(byte())
      }
    }
  }
}
