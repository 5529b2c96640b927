import Fabric
import Kernels

/// The graph of all ranks, by user and by item, while walks cross it.
@safe
package final class WholeGraph {
  package let userCount: Int
  package let itemCount: Int
  /// `(U + 1)` starts in ``items``, and `(I + 1)` in ``users``.
  private let userStarts: AlignedBuffer<Int>
  private let itemStarts: AlignedBuffer<Int>
  /// `(E)`: the item of each edge by user; ascending within a user.
  private let items: AlignedBuffer<UInt32>
  /// `(E)`: the user of each edge by item; ascending within an item.
  private let users: AlignedBuffer<UInt32>

  /// Collects the edges of all ranks. A collective.
  ///
  /// - Parameter graph: The edges of this rank's users.
  /// - Throws: What the group throws.
  /// - Complexity: O(U + I + E); three collectives.
  package init(_ graph: InteractionGraph) throws {
    let group = graph.group
    let own = graph.edges
    let sizes = try Self.gather(
      [Int64(graph.userDegrees.count), Int64(own.entryCount)],
      counts: [Int](repeating: 2, count: group.size),
      group)
    let userCounts = (0..<group.size).map { Int(sizes[2 * $0]) }
    let edgeCounts = (0..<group.size).map { Int(sizes[2 * $0 + 1]) }
    let degrees = try Self.gather(
      graph.userDegrees.map { UInt32($0) }, counts: userCounts, group)
    userCount = degrees.count
    itemCount = graph.itemDegrees.count
    items = AlignedBuffer(count: edgeCounts.reduce(0, +))
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: own.columns.pointer, count: own.entryCount * 4),
      into: UnsafeMutableRawBufferPointer(items.elements),
      Partition(counts: edgeCounts.map { $0 * 4 }))
    userStarts = Self.starts(degrees.map { Int($0) })
    itemStarts = Self.starts(graph.itemDegrees)
    users = AlignedBuffer(count: items.count)
    let next = AlignedBuffer<Int>(count: itemCount)
    unsafe next.pointer.update(from: itemStarts.pointer, count: itemCount)
    for user in 0..<userCount {
      for edge in unsafe userStarts.pointer[user]..<userStarts.pointer[user + 1] {
        let item = unsafe Int(items.pointer[edge])
        unsafe users.pointer[next.pointer[item]] = UInt32(user)
        unsafe next.pointer[item] += 1
      }
    }
  }

  private static func gather<Element: FixedWidthInteger>(
    _ own: [Element], counts: [Int], _ group: any ProcessGroup
  ) throws -> [Element] {
    var all = [Element](repeating: 0, count: counts.reduce(0, +))
    let parts = Partition(counts: counts.map { $0 * MemoryLayout<Element>.stride })
    unsafe try own.withUnsafeBytes { send in
      unsafe try all.withUnsafeMutableBytes { unsafe try group.gather(send, into: $0, parts) }
    }
    return all
  }

  private static func starts(_ degrees: [Int]) -> AlignedBuffer<Int> {
    let starts = AlignedBuffer<Int>(count: degrees.count + 1)
    for (row, degree) in degrees.enumerated() {
      unsafe starts.pointer[row + 1] = unsafe starts.pointer[row] + degree
    }
    return starts
  }

  package func degree(ofUser user: Int) -> Int {
    unsafe userStarts.pointer[user + 1] - userStarts.pointer[user]
  }

  package func degree(ofItem item: Int) -> Int {
    unsafe itemStarts.pointer[item + 1] - itemStarts.pointer[item]
  }

  /// One of the items of a user who has some; `word` decides, uniformly but for a bias of degree /
  /// 2³².
  package func item(of user: Int, _ word: UInt32) -> UInt32 {
    unsafe items.pointer[userStarts.pointer[user] + choice(word, among: degree(ofUser: user))]
  }

  /// From an item over one of its users to one of that user's items.
  package func step(from item: UInt32, _ words: SIMD4<UInt32>) -> UInt32 {
    let item = Int(item)
    let user = unsafe users.pointer[
      itemStarts.pointer[item] + choice(words[0], among: degree(ofItem: item))]
    return self.item(of: Int(user), words[1])
  }

  private func choice(_ word: UInt32, among count: Int) -> Int {
    Int((UInt64(word) * UInt64(count)) >> 32)
  }
}
