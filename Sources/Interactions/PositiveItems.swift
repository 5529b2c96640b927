/// The edges of a graph of users and items, on the heap.
///
/// Safe to share: written while it is made, only read afterwards, freed with this object.
@safe
private final class EdgeStorage: Sendable {
  nonisolated(unsafe) let offsets: UnsafeMutableBufferPointer<UInt64>
  nonisolated(unsafe) let items: UnsafeMutableBufferPointer<UInt32>

  init(users: Int, edges: Int) {
    unsafe offsets = .allocate(capacity: users + 1)
    unsafe items = .allocate(capacity: edges)
    unsafe offsets.initialize(repeating: 0)
    unsafe items.initialize(repeating: 0)
  }

  deinit {
    unsafe offsets.deallocate()
    unsafe items.deallocate()
  }
}

extension Shard {
  /// The items of each user's positive labeled training rows, ascending, each once: the edges over
  /// which a graph model propagates. Degrees follow from them.
  ///
  /// Where train holds nothing else, these are the items that were met, and the mapped column is
  /// returned. Otherwise they are gathered from the training rows at every call: 4 bytes for each
  /// positive row and 8 for each user in memory, as long as a copy of the value is.
  ///
  /// - Complexity: O(rows · log(rows per user)) time.
  package func positiveItems() -> CompressedRows {
    if unsafe exposures.items.isEmpty, unsafe train.labels.allSatisfy({ $0 == 1 }) { return met }
    let edges = EdgeStorage(users: users.count, edges: unsafe train.labels.count { $0 == 1 })
    let (offsets, items) = unsafe (edges.offsets, edges.items)
    for row in 0..<train.count where unsafe train.labels[row] == 1 {
      unsafe offsets[local(train.users[row]) + 1] += 1
    }
    for user in 0..<users.count { unsafe offsets[user + 1] += offsets[user] }
    var next = unsafe offsets.dropLast().map { Int($0) }
    for row in 0..<train.count where unsafe train.labels[row] == 1 {
      let user = unsafe local(train.users[row])
      unsafe items[next[user]] = unsafe train.items[row]
      next[user] += 1
    }
    let count = unsafe Self.sortAndUnite(offsets, items)
    return unsafe CompressedRows(
      edges, offsets: UnsafeBufferPointer(offsets),
      items: UnsafeBufferPointer(rebasing: items[..<count]))
  }

  /// Sorts the items of each user, closes the gaps of repeated ones, and returns how many are left.
  private static func sortAndUnite(
    _ offsets: UnsafeMutableBufferPointer<UInt64>, _ items: UnsafeMutableBufferPointer<UInt32>
  ) -> Int {
    var (start, count) = (0, 0)
    for user in 0..<offsets.count - 1 {
      let end = unsafe Int(offsets[user + 1])
      let first = count
      var group = unsafe UnsafeMutableBufferPointer(rebasing: items[start..<end])
      unsafe group.sort()
      for index in start..<end {
        let item = unsafe items[index]
        if count > first, unsafe items[count - 1] == item { continue }
        unsafe items[count] = item
        count += 1
      }
      unsafe offsets[user + 1] = UInt64(count)
      start = end
    }
    return count
  }
}
