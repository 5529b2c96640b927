package import Fabric
package import Kernels

/// The bipartite graph of users and items as one rank holds it: the edges of its users, in the order
/// of users and in the order of items.
///
/// Users are numbered from the rank's first one, items over the whole job. See
/// docs/decisions/0014-propagation.md.
@safe
package final class InteractionGraph {
  /// `U'`, users of this rank.
  package let userCount: Int
  /// `I`, items of the whole job.
  package let itemCount: Int
  /// `(U' + 1)`: user `u` has the edges `userStarts[u] ..< userStarts[u + 1]`.
  package let userStarts: AlignedBuffer<Int>
  /// `(E')`: the item of each edge; of a user ascending.
  package let items: AlignedBuffer<UInt32>
  /// `(I + 1)`: the edges of each item in ``users``.
  package let itemStarts: AlignedBuffer<Int>
  /// `(E')`: the user of each edge, of an item ascending, hence by shard.
  package let users: AlignedBuffer<UInt32>
  /// `(U')`: edges of each user.
  package let userDegrees: [Int]
  /// `(I)`: edges of each item over all ranks.
  package let itemDegrees: [Int]
  /// `(S' + 1)`: the first user of each shard of this rank, and the number of users.
  package let shardStarts: [Int]
  /// The first owned item row of each shard of this rank, and the end.
  package let ownedStarts: [Int]
  /// Who owns which item rows.
  package let ownership: RowOwnership
  package let tree: ShardTree
  /// Whether sums over users follow the shard tree.
  package let isOrdered: Bool
  /// Which users belong to which shard.
  package let runs: ShardRuns
  private let runMemory: RunMemory

  /// Orders the edges by item, too, and adds up the degrees of items. A collective.
  ///
  /// - Parameters:
  ///   - userStarts: `U' + 1` starts.
  ///   - items: The item of each edge; of a user ascending, each once.
  ///   - shardStarts: The first user of each shard of this rank, and the number of users.
  ///   - itemStarts: Shard `s` owns item rows `itemStarts[s] ..< itemStarts[s + 1]`.
  ///   - tree: The shards and their owners.
  ///   - isOrdered: Whether sums over users follow the shard tree.
  ///   - group: The ranks.
  /// - Throws: What the group throws.
  /// - Complexity: O(edges + items); one collective of `8 I` bytes.
  package init(
    userStarts: [Int], items: [UInt32], shardStarts: [Int], itemStarts: [Int], tree: ShardTree,
    isOrdered: Bool, group: any ProcessGroup
  ) throws {
    precondition(userStarts.last == items.count, "the edges of the last user end with the edges")
    userCount = userStarts.count - 1
    itemCount = itemStarts[tree.shardCount]
    self.shardStarts = shardStarts
    self.tree = tree
    self.isOrdered = isOrdered
    ownership = RowOwnership(shardStarts: itemStarts, tree: tree)
    let run = tree.shards(of: group.rank)
    ownedStarts = Array(itemStarts[run.lowerBound...run.upperBound])
    self.userStarts = AlignedBuffer(count: userStarts.count)
    self.items = AlignedBuffer(count: items.count)
    for (user, start) in userStarts.enumerated() {
      unsafe self.userStarts.pointer[user] = start
    }
    for (edge, item) in items.enumerated() { unsafe self.items.pointer[edge] = item }
    userDegrees = zip(userStarts, userStarts.dropFirst()).map { $1 - $0 }

    var degrees = [Int64](repeating: 0, count: itemCount)
    for item in items { degrees[Int(item)] += 1 }
    self.itemStarts = AlignedBuffer(count: itemCount + 1)
    users = AlignedBuffer(count: items.count)
    Self.transpose(userStarts, items, degrees, into: self.itemStarts, users)
    unsafe try degrees.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    itemDegrees = degrees.map { Int($0) }
    runMemory = RunMemory(shardStarts: shardStarts, tree: tree, rank: group.rank)
    runs = runMemory.runs
  }

  /// A counting sort: users ascend within an item.
  private static func transpose(
    _ userStarts: [Int], _ items: [UInt32], _ degrees: [Int64], into starts: AlignedBuffer<Int>,
    _ users: AlignedBuffer<UInt32>
  ) {
    var places: [Int] = []
    var end = 0
    for degree in degrees {
      places.append(end)
      end += Int(degree)
    }
    for (item, start) in places.enumerated() { unsafe starts.pointer[item] = start }
    unsafe starts.pointer[degrees.count] = end
    for user in 0..<userStarts.count - 1 {
      for edge in userStarts[user]..<userStarts[user + 1] {
        let item = Int(items[edge])
        unsafe users.pointer[places[item]] = UInt32(truncatingIfNeeded: user)
        places[item] += 1
      }
    }
  }

  /// The partial sums over users that a product has on this rank: of each item with edges one, or
  /// one for each block of shards that has some; rows of `stride` floats.
  package func makePartials(stride: Int) -> PartialRows {
    var keys: [(item: UInt32, block: UInt32)] = []
    for item in 0..<itemCount {
      let edges = unsafe itemStarts.pointer[item]..<itemStarts.pointer[item + 1]
      for edge in edges {
        let shard = unsafe Int(runs.shardOfRow[Int(users.pointer[edge])])
        let block = unsafe runs.blocks[isOrdered ? shard : 0]
        if let last = keys.last, last == (UInt32(item), block) { continue }
        keys.append((UInt32(item), block))
      }
    }
    let partials = PartialRows(capacity: keys.count, stride: stride)
    for (index, key) in keys.enumerated() {
      unsafe partials.keys.pointer[index] = key.item
      unsafe partials.blocks.pointer[index] = key.block
    }
    partials.count = keys.count
    return partials
  }
}

/// What ``ShardRuns`` of users point to.
@safe
private final class RunMemory {
  private let starts: AlignedBuffer<UInt32>
  private let shards: AlignedBuffer<UInt32>
  private let blocks: AlignedBuffer<UInt32>
  private let shardOfUser: AlignedBuffer<UInt16>

  init(shardStarts: [Int], tree: ShardTree, rank: Int) {
    let run = tree.shards(of: rank)
    starts = AlignedBuffer(count: run.count + 1)
    shards = AlignedBuffer(count: run.count)
    blocks = AlignedBuffer(count: run.count)
    shardOfUser = AlignedBuffer(count: shardStarts[run.count])
    for block in tree.blocks(of: rank) {
      for shard in block {
        let local = shard - run.lowerBound
        unsafe shards.pointer[local] = UInt32(shard)
        unsafe blocks.pointer[local] = UInt32(block.lowerBound)
        for user in shardStarts[local]..<shardStarts[local + 1] {
          unsafe shardOfUser.pointer[user] = UInt16(local)
        }
      }
    }
    for (local, start) in shardStarts.enumerated() {
      unsafe starts.pointer[local] = UInt32(start)
    }
  }

  var runs: ShardRuns {
    unsafe ShardRuns(
      starts: starts.pointer, shards: shards.pointer, blocks: blocks.pointer,
      shardOfRow: shardOfUser.pointer, count: shards.count)
  }
}
