import Fabric

/// Scores are divided among ranks by the upper 16 bits of their keys, the bucket.
private let bucketCount = 1 << 16

extension AreaUnderCurve {
  /// The area over several ranks; see ``evaluate(_:group:largestBucket:)``.
  static func evaluate(
    _ local: ClassKeys, group: any ProcessGroup, largestBucket: Int
  ) throws -> AreaUnderCurve {
    let histogram = try ClassHistogram(local, group: group) { Int($0 >> 16) }
    let rows = histogram.positives + histogram.negatives
    let limit = max(largestBucket, rows / group.size)
    let plan = BucketPlan(histogram, limit: limit, ranks: group.size)
    let received = try exchange(local, by: plan.owners, group: group)
    var twice = try sum(received.sortedStatistic(), over: group)
    // What follows is computed from counts that all ranks have, so it is not summed again.
    twice += plan.statisticBetweenParts
    for bucket in plan.large {
      let inside = try ClassHistogram(local, group: group) {
        Int($0 >> 16) == bucket ? Int($0 & 0xFFFF) : nil
      }
      twice += inside.statistic
    }
    return AreaUnderCurve(
      twiceStatistic: twice, positives: histogram.positives, negatives: histogram.negatives)
  }

  /// Sends the keys of each bucket to its owner.
  private static func exchange(
    _ local: ClassKeys, by owners: [Int32], group: any ProcessGroup
  ) throws -> ClassKeys {
    // Positives and negatives for each rank, in turn.
    var counts = [Int64](repeating: 0, count: 2 * group.size)
    forEachTraveller(local, owners) { _, part in counts[part] += 1 }
    var received = counts
    let pairs = Partition(parts: group.size, of: 2 * MemoryLayout<Int64>.stride)
    unsafe try counts.withUnsafeBytes { send in
      unsafe try received.withUnsafeMutableBytes {
        unsafe try group.exchange(send, pairs, into: $0, pairs)
      }
    }
    let sent = sorted(local, by: owners, counts)
    return regrouped(
      try exchange(sent, counts, received, group: group), counts: received)
  }

  /// The keys that travel, by owner and within an owner positives first.
  private static func sorted(
    _ local: ClassKeys, by owners: [Int32], _ counts: [Int64]
  ) -> [UInt32] {
    let parts = Partition(counts: counts.map { Int($0) })
    var cursors = parts.offsets
    return unsafe [UInt32](unsafeUninitializedCapacity: parts.total) { keys, count in
      forEachTraveller(local, owners) { key, part in
        unsafe keys.initializeElement(at: cursors[part], to: key)
        cursors[part] += 1
      }
      count = parts.total
    }
  }

  /// Calls `body` with each key that travels and its part: twice the owner, and one more for a
  /// negative.
  @inline(__always)
  private static func forEachTraveller(
    _ local: ClassKeys, _ owners: [Int32], _ body: (_ key: UInt32, _ part: Int) -> Void
  ) {
    unsafe local.keys.withUnsafeBufferPointer { keys in
      unsafe owners.withUnsafeBufferPointer { owners in
        for index in 0..<keys.count {
          let owner = unsafe Int(owners[Int(keys[index] >> 16)])
          if owner >= 0 { unsafe body(keys[index], 2 * owner + (index < local.positives ? 0 : 1)) }
        }
      }
    }
  }

  /// All-to-all of keys whose counts, by rank and class, are known on both sides.
  private static func exchange(
    _ keys: [UInt32], _ sent: [Int64], _ received: [Int64], group: any ProcessGroup
  ) throws -> [UInt32] {
    func partition(_ counts: [Int64]) -> Partition {
      let size = MemoryLayout<UInt32>.stride
      return Partition(
        counts: (0..<group.size).map { Int(counts[2 * $0] + counts[2 * $0 + 1]) * size })
    }
    let (sendParts, receiveParts) = (partition(sent), partition(received))
    var result = [UInt32](repeating: 0, count: receiveParts.total / MemoryLayout<UInt32>.stride)
    unsafe try keys.withUnsafeBytes { send in
      unsafe try result.withUnsafeMutableBytes {
        unsafe try group.exchange(send, sendParts, into: $0, receiveParts)
      }
    }
    return result
  }

  /// Positives of all senders first, then negatives.
  private static func regrouped(_ keys: [UInt32], counts: [Int64]) -> ClassKeys {
    let parts = Partition(counts: counts.map { Int($0) })
    var result: [UInt32] = []
    result.reserveCapacity(keys.count)
    for part in stride(from: 0, to: counts.count, by: 2) { result += keys[parts.range(of: part)] }
    let positives = result.count
    for part in stride(from: 1, to: counts.count, by: 2) { result += keys[parts.range(of: part)] }
    return ClassKeys(keys: result, positives: positives)
  }

  /// Adds whole numbers of any size over all ranks, in limbs of 32 bits that cannot overflow.
  private static func sum(_ value: UInt128, over group: any ProcessGroup) throws -> UInt128 {
    var limbs = (0..<4).map { Int64(truncatingIfNeeded: value >> UInt128(32 * $0) & 0xFFFF_FFFF) }
    unsafe try limbs.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    return limbs.enumerated().reduce(0) { $0 + UInt128($1.element) << UInt128(32 * $1.offset) }
  }
}

/// How many rows of each label fall into each of 2¹⁶ bins, over all ranks.
private struct ClassHistogram {
  /// Positives and negatives of bin `b` at `2b` and `2b + 1`.
  private(set) var counts = [Int64](repeating: 0, count: 2 * bucketCount)
  private(set) var positives = 0
  private(set) var negatives = 0

  /// Counts the keys of all ranks that have a bin.
  @inline(__always)
  init(_ local: ClassKeys, group: any ProcessGroup, bin: (UInt32) -> Int?) throws {
    unsafe counts.withUnsafeMutableBufferPointer { counts in
      unsafe local.keys.withUnsafeBufferPointer { keys in
        for index in 0..<keys.count {
          guard let bin = unsafe bin(keys[index]) else { continue }
          unsafe counts[2 * bin + (index < local.positives ? 0 : 1)] += 1
        }
      }
    }
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    for bin in 0..<bucketCount {
      positives += Int(counts[2 * bin])
      negatives += Int(counts[2 * bin + 1])
    }
  }

  /// Twice the statistic of Mann and Whitney when rows of one bin are ties.
  var statistic: UInt128 {
    var (twice, lower) = (UInt128(0), 0 as Int64)
    for bin in 0..<bucketCount {
      twice += UInt128(counts[2 * bin]) * UInt128(2 * lower + counts[2 * bin + 1])
      lower += counts[2 * bin + 1]
    }
    return twice
  }
}

/// Which rank sorts which bucket.
private struct BucketPlan {
  /// The rank of each bucket, or −1 for one that need not travel: it has rows of one label only,
  /// or is in `large`.
  private(set) var owners = [Int32](repeating: -1, count: bucketCount)
  /// Buckets with rows of both labels that are too many for one rank.
  private(set) var large: [Int] = []
  /// Twice the pairs (positive, lower negative) that no rank has together: those whose buckets
  /// differ, unless both travel to the same rank.
  private(set) var statisticBetweenParts: UInt128 = 0

  /// Gives each rank a run of buckets with about as many rows.
  ///
  /// - Parameters:
  ///   - histogram: Of the upper 16 bits.
  ///   - limit: The most rows of a bucket that travels.
  ///   - ranks: P.
  init(_ histogram: ClassHistogram, limit: Int, ranks: Int) {
    let counts = histogram.counts
    func size(_ bucket: Int) -> Int { Int(counts[2 * bucket] + counts[2 * bucket + 1]) }
    var (travels, travelling) = ([Bool](repeating: false, count: bucketCount), 0)
    for bucket in 0..<bucketCount where counts[2 * bucket] > 0 && counts[2 * bucket + 1] > 0 {
      if size(bucket) > limit {
        large.append(bucket)
      } else {
        travels[bucket] = true
        travelling += size(bucket)
      }
    }
    // Negatives of lower buckets: all, and those at the current owner.
    var (lower, together, before, current) = (0 as Int64, 0 as Int64, 0, 0)
    for bucket in 0..<bucketCount {
      let (positives, negatives) = (counts[2 * bucket], counts[2 * bucket + 1])
      if travels[bucket] {
        let owner = Int(UInt128(before) * UInt128(ranks) / UInt128(travelling))
        if owner != current { (current, together) = (owner, 0) }
        owners[bucket] = Int32(owner)
        statisticBetweenParts += UInt128(positives) * UInt128(2 * (lower - together))
        before += size(bucket)
        together += negatives
      } else {
        statisticBetweenParts += UInt128(positives) * UInt128(2 * lower)
      }
      lower += negatives
    }
  }
}
