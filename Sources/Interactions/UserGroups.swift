import Storage

/// Values of a shard's rows, grouped by user: rows of variable length over a scratch file.
///
/// The groups keep the order of the rows. It owns its space, and groups are formed from offsets
/// that were counted from the same rows, so its use is safe.
@safe
struct UserGroups {
  /// Group `u` is `values[offsets[u] ..< offsets[u + 1]]`.
  let offsets: [Int]
  private let values: ScratchBuffer<UInt64>

  /// Groups the values that `value` gives; rows for which it gives `nil` are left out.
  ///
  /// - Parameters:
  ///   - rows: The rows of a shard.
  ///   - users: The users of the shard.
  ///   - directory: Where scratch space is reserved.
  ///   - value: Called twice per row, with the row and its index.
  /// - Throws: `Failure` of kind `inputOutput`.
  @inline(__always)
  init(
    _ rows: UnsafeMutableBufferPointer<LogRow>, users: Range<Int>, scratch directory: String,
    _ value: (LogRow, Int) -> UInt64?
  ) throws(Failure) {
    var offsets = [Int](repeating: 0, count: users.count + 1)
    for index in 0..<rows.count {
      let row = unsafe rows[index]
      guard value(row, index) != nil else { continue }
      offsets[Int(row.user) - users.lowerBound + 1] += 1
    }
    for user in 0..<users.count { offsets[user + 1] += offsets[user] }
    let values = try ScratchBuffer<UInt64>(count: offsets[users.count], in: directory)
    var next = offsets
    for index in 0..<rows.count {
      let row = unsafe rows[index]
      guard let value = value(row, index) else { continue }
      let user = Int(row.user) - users.lowerBound
      unsafe values.elements[next[user]] = value
      next[user] += 1
    }
    self.offsets = offsets
    self.values = values
  }

  /// The values of local user `user`; valid as long as this value lives.
  func group(_ user: Int) -> UnsafeMutableBufferPointer<UInt64> {
    unsafe UnsafeMutableBufferPointer(rebasing: values.elements[offsets[user]..<offsets[user + 1]])
  }
}

/// Whether a sorted group holds a value.
func isSorted(_ group: UnsafeMutableBufferPointer<UInt64>, containing value: UInt64) -> Bool {
  var (low, high) = (0, group.count)
  while low < high {
    let middle = (low + high) / 2
    if unsafe group[middle] < value { low = middle + 1 } else { high = middle }
  }
  return unsafe low < group.count && group[low] == value
}
