/// Which shard owns which id, and the renumbering that makes each shard's ids contiguous.
///
/// The heaviest id goes first, to the lightest shard so far (Graham, *Bounds on multiprocessing
/// timing anomalies*, 1969); ties go to the lowest index. Ids without weight then fill the shards
/// up to equal numbers. So the load of the fullest shard is at most the mean plus the weight of
/// the heaviest id. Dense order is shard order, and first appearance inside a shard.
///
/// - Complexity: O(n log n + n log S).
package struct ShardAssignment: Sendable {
  /// `starts[s] ..< starts[s + 1]` are the dense ids of shard `s`; `S + 1` elements.
  package let starts: [Int]
  /// The dense id of each id by first appearance.
  package let dense: [UInt32]
  /// The id by first appearance of each dense id.
  package let appearance: [UInt32]

  /// Spreads ids with the given weights over `shards` shards.
  package init(weights: [Int], shards: Int) {
    let order = weights.indices.sorted { first, second in
      weights[first] != weights[second] ? weights[first] > weights[second] : first < second
    }
    var shardOf = [Int](repeating: 0, count: weights.count)
    var members = [Int](repeating: 0, count: shards)
    var byLoad = LightestShard(loads: members)
    let weighty = order.prefix { weights[$0] > 0 }
    for id in weighty {
      shardOf[id] = byLoad.add(weights[id])
      members[shardOf[id]] += 1
    }
    var byMembers = LightestShard(loads: members)
    for id in order.dropFirst(weighty.count) {
      shardOf[id] = byMembers.add(1)
      members[shardOf[id]] += 1
    }

    var starts = [0]
    for count in members { starts.append(starts[starts.count - 1] + count) }
    var next = starts
    var dense = [UInt32](repeating: 0, count: weights.count)
    var appearance = dense
    for (id, shard) in shardOf.enumerated() {
      dense[id] = UInt32(next[shard])
      appearance[next[shard]] = UInt32(id)
      next[shard] += 1
    }
    self.starts = starts
    self.dense = dense
    self.appearance = appearance
  }

  /// The shard that owns dense id `id`.
  package func shard(of id: Int) -> Int {
    var (low, high) = (0, starts.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= id { low = middle } else { high = middle }
    }
    return low
  }
}

/// A heap of shards by load, then by index.
private struct LightestShard {
  private var heap: [(load: Int, shard: Int)]

  init(loads: [Int]) {
    // A sorted array is a heap.
    heap = loads.enumerated().map { (load: $1, shard: $0) }.sorted { $0 < $1 }
  }

  /// Adds `weight` to the lightest shard and returns its index.
  mutating func add(_ weight: Int) -> Int {
    let shard = heap[0].shard
    let entry = (load: heap[0].load + weight, shard: shard)
    var hole = 0
    while true {
      var child = 2 * hole + 1
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard child < heap.count, heap[child] < entry else { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = entry
    return shard
  }
}
