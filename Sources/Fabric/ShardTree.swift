/// The fixed binary tree over shards that defines every sum, and who owns which of its leaves.
///
/// A dataset has `S` shards, a power of two: the leaves. A sum over rows is taken in row order
/// inside a shard and then along this tree, so its digits do not depend on the ranks. Rank `r` of
/// `P` owns the run of shards `⌊rS/P⌋ ..< ⌊(r+1)S/P⌋`. It may add what lies inside one of its
/// *blocks*, the largest aligned runs of 2ᵏ shards it owns (a block is the whole subtree below one
/// node), and must send one partial sum per block. For `P` a power of two that is one.
///
/// See docs/decisions/0002-shards-and-tree-sums.md.
package struct ShardTree: Equatable, Sendable {
  /// `S`, a power of two.
  package let shardCount: Int
  /// `P`, in `1 ... S`.
  package let rankCount: Int

  /// The tree of `shardCount` leaves, a power of two, dealt to `rankCount` ranks, at most as many.
  package init(shardCount: Int, rankCount: Int) {
    precondition(
      shardCount > 0 && shardCount & (shardCount - 1) == 0, "shards must be a power of two")
    precondition((1...shardCount).contains(rankCount), "ranks must be in 1 ... shards")
    self.shardCount = shardCount
    self.rankCount = rankCount
  }

  /// The shards that `rank` owns.
  package func shards(of rank: Int) -> Range<Int> {
    rank * shardCount / rankCount..<(rank + 1) * shardCount / rankCount
  }

  /// The rank that owns `shard`.
  package func owner(of shard: Int) -> Int {
    ((shard + 1) * rankCount - 1) / shardCount
  }

  /// The largest aligned runs of 2ᵏ shards inside the run of `rank`, in ascending order.
  package func blocks(of rank: Int) -> [Range<Int>] { Self.blocks(in: shards(of: rank)) }

  /// The largest aligned runs of 2ᵏ shards inside `run`, in ascending order.
  package static func blocks(in run: Range<Int>) -> [Range<Int>] {
    var blocks: [Range<Int>] = []
    var start = run.lowerBound
    while start < run.upperBound {
      var length = 1
      while start % (2 * length) == 0, start + 2 * length <= run.upperBound { length *= 2 }
      blocks.append(start..<start + length)
      start += length
    }
    return blocks
  }

  /// Adds vectors along the tree, in place.
  ///
  /// - Parameters:
  ///   - values: `(shards.count, width)`; row `s` belongs to shard `shards.lowerBound + s`.
  ///     Afterwards the first row of `shards` holds the sum; the others are spoiled.
  ///   - width: Elements per shard.
  ///   - shards: One aligned run of 2ᵏ shards.
  ///   - present: Whether a row holds anything. A row that is absent is skipped, which is how the
  ///     sum of a whole block is passed on: in the block's first row, with the others absent.
  package func reduce(
    _ values: inout [Double], width: Int, shards: Range<Int>, present: (Int) -> Bool = { _ in true }
  ) {
    var step = 1
    while step < shards.count {
      for left in stride(from: 0, to: shards.count, by: 2 * step)
      where present(shards.lowerBound + left + step) {
        for column in 0..<width {
          values[left * width + column] += values[(left + step) * width + column]
        }
      }
      step *= 2
    }
  }
}

extension ProcessGroup {
  /// Adds one vector per shard over the whole job, along the tree: every rank gets the same bits,
  /// whatever the number of ranks.
  ///
  /// - Parameters:
  ///   - leaves: `(shards of this rank, width)`: the vectors of this rank's shards, in order.
  ///   - width: Elements per shard.
  ///   - tree: The shards and their owners.
  /// - Returns: The sum, `width` elements.
  /// - Throws: What ``ProcessGroup/gather(_:into:_:)`` throws.
  /// - Complexity: one collective; each rank contributes `width` doubles per block it owns.
  package func orderedSum(
    of leaves: [Double], width: Int, over tree: ShardTree
  ) throws -> [Double] {
    let run = tree.shards(of: rank)
    precondition(leaves.count == run.count * width, "one vector for each shard of this rank")
    var partials: [Double] = []
    for block in tree.blocks(of: rank) {
      let start = (block.lowerBound - run.lowerBound) * width
      var rows = Array(leaves[start..<start + block.count * width])
      tree.reduce(&rows, width: width, shards: block)
      partials += rows.prefix(width)
    }
    let blocks = (0..<size).map { tree.blocks(of: $0) }
    let elementSize = MemoryLayout<Double>.stride
    let parts = Partition(counts: blocks.map { $0.count * width * elementSize })
    var gathered = [Double](repeating: 0, count: parts.total / elementSize)
    unsafe try partials.withUnsafeBytes { send in
      unsafe try gathered.withUnsafeMutableBytes { receive in
        try unsafe gather(send, into: receive, parts)
      }
    }
    var values = [Double](repeating: 0, count: tree.shardCount * width)
    var present = [Bool](repeating: false, count: tree.shardCount)
    for (index, block) in blocks.joined().enumerated() {
      present[block.lowerBound] = true
      for column in 0..<width {
        values[block.lowerBound * width + column] = gathered[index * width + column]
      }
    }
    tree.reduce(&values, width: width, shards: 0..<tree.shardCount) { present[$0] }
    return Array(values.prefix(width))
  }
}
