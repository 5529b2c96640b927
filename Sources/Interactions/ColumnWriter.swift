import Storage

/// A column of little-endian integers on its way to a file.
///
/// Values gather in a buffer of its own and reach the `FileWriter` in blocks, because a call into
/// another module per value would cost more than the value. It owns the buffer and stays within
/// it, so its use is safe.
@safe
struct ColumnWriter<Element: FixedWidthInteger>: ~Copyable {
  private static var capacity: Int { 1 << 13 }
  private let file: FileWriter
  private let buffer: UnsafeMutablePointer<Element>
  private var pending = 0

  /// Creates the file; it must not exist yet.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  init(path: String) throws(Failure) {
    file = try FileWriter(path: path)
    unsafe buffer = .allocate(capacity: Self.capacity)
  }

  deinit { unsafe buffer.deallocate() }

  @inline(__always)
  mutating func append(_ value: Element) throws(Failure) {
    unsafe buffer[pending] = value.littleEndian
    pending += 1
    if pending == Self.capacity { try flush() }
  }

  /// Finishes the file and describes it.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  mutating func close() throws(Failure) -> ColumnManifest {
    try flush()
    let bytes = file.count
    return ColumnManifest(bytes: bytes, checksum: try file.close())
  }

  private mutating func flush() throws(Failure) {
    unsafe try file.append(
      UnsafeRawBufferPointer(start: buffer, count: pending * MemoryLayout<Element>.stride))
    pending = 0
  }
}

/// Lines of text on their way to a file.
@safe
final class TextWriter {
  private static let capacity = 1 << 16
  /// Room for what one call of `append` adds: a number and a separator.
  private static let margin = 32
  private let file: FileWriter
  private let buffer: UnsafeMutablePointer<UInt8>
  private var pending = 0

  /// Creates the file; it must not exist yet.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  init(path: String) throws(Failure) {
    file = try FileWriter(path: path)
    unsafe buffer = .allocate(capacity: Self.capacity)
  }

  deinit { unsafe buffer.deallocate() }

  /// Appends a letter, a number in decimal digits and a final byte.
  ///
  /// - Parameters:
  ///   - letter: Written first, unless it is `nil`.
  ///   - number: At least 0.
  ///   - terminator: Written last.
  /// - Throws: `Failure` of kind `inputOutput`.
  func append(_ letter: UInt8? = nil, _ number: Int, _ terminator: UInt8) throws(Failure) {
    if pending + Self.margin > Self.capacity { try flush() }
    if let letter { push(letter) }
    var divisor = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      push(Ascii.zero + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
    push(terminator)
  }

  /// Finishes the file.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  func close() throws(Failure) {
    try flush()
    _ = try file.close()
  }

  private func push(_ byte: UInt8) {
    unsafe buffer[pending] = byte
    pending += 1
  }

  private func flush() throws(Failure) {
    unsafe try file.append(UnsafeRawBufferPointer(start: buffer, count: pending))
    pending = 0
  }
}
