/// Items of the users of one shard, each list ascending and without repetitions.
package struct ItemsByUser: Sendable {
  /// The users of the shard.
  package let users: Range<Int>
  /// Those of user `users.lowerBound + u` are `items[starts[u] ..< starts[u + 1]]`.
  package let starts: [Int]
  package let items: [UInt32]

  /// Groups rows that are sorted by user.
  ///
  /// - Parameters:
  ///   - users: The users of the shard.
  ///   - rowUsers: Ascending, inside `users`.
  ///   - rowItems: As many.
  ///   - include: Whether a row, given by its number, counts.
  /// - Complexity: O(rows · log(rows of a user)).
  package init(
    users: Range<Int>, rowUsers: UnsafeBufferPointer<UInt32>,
    rowItems: UnsafeBufferPointer<UInt32>, include: (_ row: Int) -> Bool = { _ in true }
  ) {
    precondition(rowUsers.count == rowItems.count, "one item for each row")
    var (starts, items): ([Int], [UInt32]) = ([0], [])
    starts.reserveCapacity(users.count + 1)
    var row = 0
    for user in users {
      let start = items.count
      while row < rowUsers.count, unsafe Int(rowUsers[row]) == user {
        if include(row) { unsafe items.append(rowItems[row]) }
        row += 1
      }
      items[start...].sort()
      var end = start
      for index in start..<items.count where end == start || items[index] != items[end - 1] {
        items[end] = items[index]
        end += 1
      }
      items.removeLast(items.count - end)
      starts.append(end)
    }
    precondition(row == rowUsers.count, "rows must be in order of the users of the shard")
    (self.users, self.starts, self.items) = (users, starts, items)
  }

  /// The items of a user of the shard, by its dense id.
  package subscript(user: Int) -> ArraySlice<UInt32> {
    let local = user - users.lowerBound
    return items[starts[local]..<starts[local + 1]]
  }
}

/// Whether ascending `items` hold `item`.
///
/// - Complexity: O(log items).
@inline(__always)
func ascending<Items: RandomAccessCollection<UInt32>>(
  _ items: Items, contain item: UInt32
) -> Bool where Items.Index == Int {
  var (low, high) = (items.startIndex, items.endIndex)
  while low < high {
    let middle = low &+ (high &- low) / 2
    if items[middle] < item { low = middle &+ 1 } else { high = middle }
  }
  return low < items.endIndex && items[low] == item
}
