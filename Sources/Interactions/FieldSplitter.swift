import Foundation

/// Cuts a line into fields without copying or allocating.
///
/// It owns the table of bounds and frees it, and reads only inside the lines it is given: that is
/// why it is safe to use.
@safe
struct FieldSplitter: ~Copyable {
  /// One more than a row may have, so that too many fields are noticed.
  static let maximumCount = 5

  let separator: Separator
  /// Start and end of each field.
  private let bounds: UnsafeMutablePointer<Int>

  init(_ separator: Separator) {
    self.separator = separator
    unsafe bounds = .allocate(capacity: 2 * Self.maximumCount)
  }

  deinit { unsafe bounds.deallocate() }

  /// Finds the fields of `line` and returns their number, at most ``maximumCount``.
  @inline(__always)
  func split(_ line: UnsafeRawBufferPointer) -> Int {
    switch separator {
    case .tab: unsafe splitAtByte(line, Ascii.tab)
    case .comma: unsafe splitAtByte(line, Ascii.comma)
    case .doubleColon: unsafe splitAtDoubleColon(line)
    case .blanks: unsafe splitAtBlanks(line)
    }
  }

  /// Field `index` of the line that was last split.
  @inline(__always)
  func field(_ index: Int, of line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let (start, end) = unsafe (bounds[2 * index], bounds[2 * index + 1])
    return unsafe UnsafeRawBufferPointer(
      start: line.baseAddress.map { unsafe $0 + start }, count: end - start)
  }

  @inline(__always)
  private func splitAtByte(_ line: UnsafeRawBufferPointer, _ byte: UInt8) -> Int {
    var (count, start, position) = (0, 0, 0)
    while true {
      // Fields are short: a loop over their bytes ends before a search function has begun.
      while position < line.count, unsafe line[position] != byte { position += 1 }
      unsafe bounds[2 * count] = start
      unsafe bounds[2 * count + 1] = position
      count += 1
      guard position < line.count, count < Self.maximumCount else { return count }
      position += 1
      start = position
    }
  }

  private func splitAtDoubleColon(_ line: UnsafeRawBufferPointer) -> Int {
    var (count, start, position) = (0, 0, 0)
    while count < Self.maximumCount {
      while position + 1 < line.count,
        unsafe line[position] != Ascii.colon || line[position + 1] != Ascii.colon
      {
        position += 1
      }
      let isLast = position + 1 >= line.count
      unsafe bounds[2 * count] = start
      unsafe bounds[2 * count + 1] = isLast ? line.count : position
      count += 1
      if isLast { break }
      position += 2
      start = position
    }
    return count
  }

  private func splitAtBlanks(_ line: UnsafeRawBufferPointer) -> Int {
    var (count, position) = (0, 0)
    while count < Self.maximumCount {
      while position < line.count, unsafe Ascii.isBlank(line[position]) { position += 1 }
      if position == line.count { break }
      unsafe bounds[2 * count] = position
      while position < line.count, unsafe !Ascii.isBlank(line[position]) { position += 1 }
      unsafe bounds[2 * count + 1] = position
      count += 1
    }
    return count
  }
}
