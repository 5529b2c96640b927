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

/// The first value of a sorted group that is not below `value`, or `nil`.
func lowerBound(_ group: UnsafeMutableBufferPointer<UInt64>, _ value: UInt64) -> UInt64? {
  var (low, high) = (0, group.count)
  while low < high {
    let middle = (low + high) / 2
    if unsafe group[middle] < value { low = middle + 1 } else { high = middle }
  }
  return unsafe low < group.count ? group[low] : nil
}

/// Sorts groups of keys, one after the other, with one scratch space for all.
///
/// Short groups by insertion, longer ones by digits of 8 bits from the lowest up to the highest
/// that any key has. It owns its scratch and grows it to each group, so its use is safe.
@safe
struct GroupSort: ~Copyable {
  private static let longestInsertion = 32
  private var scratch: UnsafeMutableBufferPointer<UInt64>
  private let starts: UnsafeMutableBufferPointer<Int>

  init() {
    unsafe scratch = .allocate(capacity: 1 << 10)
    unsafe starts = .allocate(capacity: 1 << 8)
  }

  deinit {
    unsafe scratch.deallocate()
    unsafe starts.deallocate()
  }

  /// Sorts `keys` in ascending order.
  ///
  /// - Complexity: O(count · digits).
  mutating func callAsFunction(_ keys: UnsafeMutableBufferPointer<UInt64>) {
    guard keys.count > Self.longestInsertion else { return unsafe insert(keys) }
    if unsafe scratch.count < keys.count {
      unsafe scratch.deallocate()
      unsafe scratch = .allocate(capacity: 2 * keys.count)
    }
    var all: UInt64 = 0
    for index in 0..<keys.count { unsafe all |= keys[index] }
    let room = unsafe UnsafeMutableBufferPointer(rebasing: scratch[..<keys.count])
    var (source, target) = unsafe (keys, room)
    var shift: UInt64 = 0
    while shift < 64, all >> shift != 0 {
      unsafe scatter(source, to: target, shift)
      unsafe swap(&source, &target)
      shift += 8
    }
    if unsafe source.baseAddress != keys.baseAddress { unsafe _ = keys.update(from: source) }
  }

  private func insert(_ keys: UnsafeMutableBufferPointer<UInt64>) {
    guard keys.count > 1 else { return }
    for index in 1..<keys.count {
      let key = unsafe keys[index]
      var hole = index
      while hole > 0, unsafe keys[hole - 1] > key {
        unsafe keys[hole] = unsafe keys[hole - 1]
        hole -= 1
      }
      unsafe keys[hole] = key
    }
  }

  private func scatter(
    _ source: UnsafeMutableBufferPointer<UInt64>, to target: UnsafeMutableBufferPointer<UInt64>,
    _ shift: UInt64
  ) {
    unsafe starts.update(repeating: 0)
    for index in 0..<source.count {
      unsafe starts[Int(truncatingIfNeeded: source[index] >> shift & 255)] += 1
    }
    var start = 0
    for digit in 0..<256 {
      let count = unsafe starts[digit]
      unsafe starts[digit] = start
      start += count
    }
    for index in 0..<source.count {
      let key = unsafe source[index]
      let digit = Int(truncatingIfNeeded: key >> shift & 255)
      unsafe target[starts[digit]] = key
      unsafe starts[digit] += 1
    }
  }
}
