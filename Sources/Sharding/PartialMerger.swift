import Kernels

/// Partial sums that lie together, ascending by row and then by block.
@safe
struct PartialList {
  let keys: UnsafePointer<UInt32>
  let blocks: UnsafePointer<UInt32>
  let rows: UnsafePointer<Float>
  let count: Int

  init(
    keys: UnsafePointer<UInt32>, blocks: UnsafePointer<UInt32>, rows: UnsafePointer<Float>,
    count: Int
  ) {
    unsafe self.keys = unsafe keys
    unsafe self.blocks = unsafe blocks
    unsafe self.rows = unsafe rows
    self.count = count
  }

  /// A message of `count` keys, then blocks, then rows.
  init(_ message: UnsafeRawPointer, count: Int) {
    unsafe self.init(
      keys: message.assumingMemoryBound(to: UInt32.self),
      blocks: (message + 4 * count).assumingMemoryBound(to: UInt32.self),
      rows: (message + 8 * count).assumingMemoryBound(to: Float.self), count: count)
  }
}

/// Adds partial sums from several places, row by row, along the shard tree.
@safe
final class PartialMerger {
  /// `(count)`: row of each partial, relative to the first.
  private let keys = ScratchBuffer<UInt32>()
  /// `(count)`: the block it covers.
  private let blocks = ScratchBuffer<UInt32>()
  /// `(count)`: where it is.
  private let places = unsafe ScratchBuffer<UnsafePointer<Float>>()
  private var segments = SegmentSort(capacity: 0)
  private let scratch: TreeScratch
  private let isOrdered: Bool
  private var count = 0

  init(stride: Int, shardCount: Int, ordered: Bool) {
    isOrdered = ordered
    scratch = TreeScratch(stride: stride, shardCount: shardCount)
  }

  /// Forgets what was added, and makes room for `capacity` partials.
  func begin(capacity: Int) {
    count = 0
    _ = unsafe keys.reserve(capacity)
    _ = unsafe blocks.reserve(capacity)
    _ = unsafe places.reserve(capacity)
    if capacity > segments.capacity { segments = SegmentSort(capacity: capacity + capacity / 4) }
  }

  /// Notes where partials are. Those of a row must come in the order of their blocks.
  ///
  /// - Parameters:
  ///   - list: At most as many as there is room for.
  ///   - first: A row not behind any of the list's, which keeps keys small and sorting short.
  ///   - stride: Floats per row.
  func add(_ list: PartialList, relativeTo first: Int, stride: Int) {
    let (keys, blocks) = unsafe (keys.pointer + count, blocks.pointer + count)
    let places = unsafe places.pointer + count
    let first = UInt32(truncatingIfNeeded: first)
    for index in 0..<list.count {
      unsafe keys[index] = unsafe list.keys[index] &- first
      unsafe blocks[index] = unsafe list.blocks[index]
      unsafe places[index] = unsafe list.rows + index &* stride
    }
    count += list.count
  }

  /// Keeps partials of different groups apart: key `k` in group `g` of `groupCount` becomes
  /// `k · groupCount + g`.
  ///
  /// - Parameters:
  ///   - groups: For each shard its group; blocks do not cross groups.
  ///   - groupCount: At least 1.
  func divide(by groups: UnsafePointer<UInt32>, groupCount: Int) {
    let (keys, blocks) = unsafe (keys.pointer, blocks.pointer)
    let factor = UInt32(truncatingIfNeeded: groupCount)
    for index in 0..<count {
      unsafe keys[index] = unsafe keys[index] &* factor &+ groups[Int(blocks[index])]
    }
  }

  /// Groups the partials by key, all below `bound`.
  ///
  /// - Returns: How many keys there are.
  func group(bound: Int) -> Int {
    unsafe segments.sort(keys.pointer, count: count, bound: bound)
    return segments.segmentCount
  }

  /// Writes the sums, and their keys, ascending from `first`.
  func merge(
    keys target: UnsafeMutablePointer<UInt32>, first: Int, sums: UnsafeMutablePointer<Float>
  ) {
    unsafe PartialSums.merge(
      segments: segments, rows: places.pointer, blocks: blocks.pointer, ordered: isOrdered,
      scratch: scratch, sums: sums)
    let first = UInt32(truncatingIfNeeded: first)
    for segment in 0..<segments.segmentCount {
      unsafe target[segment] = unsafe segments.segmentKeys.pointer[segment] &+ first
    }
  }
}
