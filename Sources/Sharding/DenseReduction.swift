package import Fabric
package import Kernels

/// Adds what every shard contributes to a step besides rows: gradients of dense parameters and a
/// few figures (losses); and lets every rank say something to all (a stop request), and compare the
/// calls it has made.
///
/// One collective carries it all. Sums follow the shard tree; every rank gets the same bits.
@safe
package final class DenseReduction {
  private let group: any ProcessGroup
  private let tree: ShardTree
  private let isOrdered: Bool
  private let width: Int
  private let figureCount: Int
  /// The blocks of all ranks, in order.
  private let blocks: [Range<Int>]
  private let ownBlocks: [Range<Int>]
  private let parts: Partition
  private let message: AlignedBuffer<UInt8>
  private let messages: AlignedBuffer<UInt8>
  private let isPresent: AlignedBuffer<Bool>

  /// `(S', width)`: the dense gradient of each shard of this rank; written before ``reduce()``.
  package let leaves: AlignedBuffer<Float>
  /// `(S', figureCount)`: the figures of each shard of this rank; written before ``reduce()``.
  package let figureLeaves: AlignedBuffer<Double>
  /// What this rank says; any value, told to all.
  package var note: Int64 = 0

  /// The note and the tag of the calls so far.
  private static let headerBytes = 16

  private let allLeaves: AlignedBuffer<Float>
  private let allFigures: AlignedBuffer<Double>
  /// The largest note of any rank, after ``reduce()``.
  package private(set) var largestNote: Int64 = 0

  /// - Parameters:
  ///   - group: The ranks.
  ///   - tree: The shards and their owners.
  ///   - width: Floats of dense gradient, a multiple of 8.
  ///   - figureCount: Figures per shard.
  ///   - ordered: Whether dense gradients follow the tree; figures always do.
  package init(
    group: any ProcessGroup, tree: ShardTree, width: Int, figureCount: Int, ordered: Bool
  ) {
    self.group = group
    self.tree = tree
    self.width = width
    self.figureCount = figureCount
    isOrdered = ordered
    let all = (0..<group.size).map { tree.blocks(of: $0) }
    blocks = all.flatMap { $0 }
    ownBlocks = all[group.rank]
    let blockBytes = 4 * width + 8 * figureCount
    parts = Partition(counts: all.map { $0.count * blockBytes + Self.headerBytes })
    message = AlignedBuffer(count: parts.counts[group.rank])
    messages = AlignedBuffer(count: parts.total)
    let local = tree.shards(of: group.rank).count
    leaves = AlignedBuffer(count: local * width)
    figureLeaves = AlignedBuffer(count: local * figureCount)
    allLeaves = AlignedBuffer(count: tree.shardCount * width)
    allFigures = AlignedBuffer(count: tree.shardCount * figureCount)
    isPresent = AlignedBuffer(count: tree.shardCount)
  }

  /// The sum of the dense gradients, `(width)`, after ``reduce()``.
  package var sum: UnsafeMutablePointer<Float> { unsafe allLeaves.pointer }

  /// The sum of figure `index`, after ``reduce()``.
  package func figure(_ index: Int) -> Double { unsafe allFigures.pointer[index] }

  /// Adds over all shards of the job; spoils the leaves.
  ///
  /// - Throws: What the group throws; `CallMismatch` when ranks made different calls before.
  /// - Complexity: one collective (two when not ordered); each rank contributes 16 bytes, and `4 ·
  ///   width + 8 · figureCount` per block of shards it owns.
  package func reduce() throws {
    let first = tree.shards(of: group.rank).lowerBound
    for block in ownBlocks {
      let start = block.lowerBound - first
      unsafe addUp(
        leaves.pointer + start * width, figureLeaves.pointer + start * figureCount,
        count: block.count, present: nil)
    }
    guard group.size > 1 else {
      unsafe allLeaves.pointer.update(from: leaves.pointer, count: width)
      unsafe allFigures.pointer.update(from: figureLeaves.pointer, count: figureCount)
      largestNote = note
      return
    }
    pack(first: first)
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: message.pointer, count: message.count),
      into: UnsafeMutableRawBufferPointer(start: messages.pointer, count: messages.count), parts)
    if !unpack() { try group.explainDivergence() }
    unsafe addUp(
      allLeaves.pointer, allFigures.pointer, count: tree.shardCount, present: isPresent.pointer)
    if !isOrdered { try reduceNatively(first: first) }
  }

  /// The tree over `count` leaves, in place: the sums end in the first leaf.
  private func addUp(
    _ leaves: UnsafeMutablePointer<Float>, _ figures: UnsafeMutablePointer<Double>, count: Int,
    present: UnsafePointer<Bool>?
  ) {
    var step = 1
    while step < count {
      for left in stride(from: 0, to: count, by: 2 * step) {
        let right = left + step
        if let present = unsafe present, unsafe !present[right] { continue }
        unsafe PartialSums.add(
          leaves + right * width, to: leaves + left * width, count: width)
        for index in 0..<figureCount {
          unsafe figures[left * figureCount + index] += figures[right * figureCount + index]
        }
      }
      step *= 2
    }
  }

  private func pack(first: Int) {
    var target = unsafe UnsafeMutableRawPointer(message.pointer)
    unsafe target.storeBytes(of: note, as: Int64.self)
    unsafe target.storeBytes(of: group.callTag, toByteOffset: 8, as: Int64.self)
    unsafe target += Self.headerBytes
    for block in ownBlocks {
      let start = block.lowerBound - first
      unsafe target.copyMemory(from: leaves.pointer + start * width, byteCount: 4 * width)
      unsafe target += 4 * width
      unsafe target.copyMemory(
        from: figureLeaves.pointer + start * figureCount, byteCount: 8 * figureCount)
      unsafe target += 8 * figureCount
    }
  }

  /// - Returns: Whether all ranks have made the same calls.
  private func unpack() -> Bool {
    var isSame = true
    let ownTag = unsafe UnsafeRawPointer(message.pointer).load(fromByteOffset: 8, as: Int64.self)
    unsafe isPresent.pointer.update(repeating: false, count: tree.shardCount)
    largestNote = .min
    var next = 0
    for rank in 0..<group.size {
      var source = unsafe UnsafeRawPointer(messages.pointer) + parts.offsets[rank]
      let end = unsafe source + parts.counts[rank]
      largestNote = unsafe max(largestNote, source.loadUnaligned(as: Int64.self))
      if unsafe source.loadUnaligned(fromByteOffset: 8, as: Int64.self) != ownTag { isSame = false }
      unsafe source += Self.headerBytes
      while unsafe source < end {
        let leaf = blocks[next].lowerBound
        next += 1
        unsafe isPresent.pointer[leaf] = true
        unsafe UnsafeMutableRawPointer(allLeaves.pointer + leaf * width).copyMemory(
          from: source, byteCount: 4 * width)
        unsafe source += 4 * width
        unsafe UnsafeMutableRawPointer(allFigures.pointer + leaf * figureCount).copyMemory(
          from: source, byteCount: 8 * figureCount)
        unsafe source += 8 * figureCount
      }
    }
    return isSame
  }

  /// The library's own reduction in place of the tree, for the gradients only: decisions hang on
  /// the figures, and those must be the same on all ranks.
  private func reduceNatively(first: Int) throws {
    let total = unsafe allLeaves.pointer
    unsafe total.update(from: leaves.pointer, count: width)
    for block in ownBlocks.dropFirst() {
      unsafe PartialSums.add(
        leaves.pointer + (block.lowerBound - first) * width, to: total, count: width)
    }
    unsafe try group.sum(UnsafeMutableBufferPointer(start: total, count: width))
  }
}
