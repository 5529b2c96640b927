package import Fabric
package import Kernels

/// The exchange of a table that every step rewrites as a whole: partial sums to the owners of the
/// rows, owners' rows to everybody.
///
/// Which partial sums there are is known when it is made, so only rows travel. For layers of graph
/// models, see docs/decisions/0014-propagation.md.
@safe
package final class WholeTableExchange {
  private let group: any ProcessGroup
  private let stride: Int
  /// The rows that this rank owns.
  package let owned: Range<Int>

  private let sendParts: Partition
  private let receiveParts: Partition
  private let rows: TableGather
  private let received: AlignedBuffer<Float>
  private let merger: PartialMerger
  /// The owned row of each sum, from 0; a rank alone has one partial sum for each.
  private let sumRows: AlignedBuffer<UInt32>
  private let sumCount: Int
  /// `(distinct rows, stride)`; not needed by a rank alone.
  private let sums: AlignedBuffer<Float>

  /// Tells every owner which partial sums to expect. A collective.
  ///
  /// - Parameters:
  ///   - partials: This rank's partial sums of every step: rows ascending, of a row blocks ascending.
  ///   - group: The ranks.
  ///   - ownership: Who owns which rows.
  ///   - shardCount: `S`.
  ///   - ordered: Whether sums follow the shard tree.
  /// - Throws: What the group throws.
  /// - Complexity: three collectives.
  package init(
    _ partials: PartialRows, group: any ProcessGroup, ownership: RowOwnership, shardCount: Int,
    ordered: Bool
  ) throws {
    self.group = group
    stride = partials.stride
    let (rank, size, stride) = (group.rank, group.size, partials.stride)
    owned = ownership.rows(of: rank)
    rows = TableGather(group: group, ownership: ownership, stride: stride)
    merger = PartialMerger(stride: stride, shardCount: shardCount, ordered: ordered)
    var keyParts = Partition(parts: size, of: 0)
    unsafe ownership.partition(partials.keys.pointer, count: partials.count, into: &keyParts)
    let expected = try Self.exchangeCounts(keyParts, group)
    sendParts = Partition(counts: keyParts.counts.map { $0 * stride * 4 })
    receiveParts = Partition(counts: expected.map { $0 * stride * 4 })
    let total = expected.reduce(0, +)
    received = AlignedBuffer(count: size > 1 ? total * stride : 0)
    let keys = AlignedBuffer<UInt32>(count: total)
    let blocks = AlignedBuffer<UInt32>(count: total)
    let receivedKeys = Partition(counts: expected.map { $0 * 4 })
    let sentKeys = Partition(counts: keyParts.counts.map { $0 * 4 })
    for (source, target) in [(partials.keys, keys), (partials.blocks, blocks)] {
      unsafe try group.exchange(
        UnsafeRawBufferPointer(source.elements), sentKeys,
        into: UnsafeMutableRawBufferPointer(target.elements), receivedKeys)
    }
    merger.begin(capacity: total)
    unsafe merger.add(
      PartialList(
        keys: keys.pointer, blocks: blocks.pointer, rows: received.pointer, count: total),
      relativeTo: owned.lowerBound, stride: stride)
    sumCount = merger.group(bound: owned.count)
    sumRows = AlignedBuffer(count: max(total, sumCount))
    for index in 0..<total {
      unsafe sumRows.pointer[index] = keys.pointer[index] &- UInt32(owned.lowerBound)
    }
    sums = AlignedBuffer(count: size > 1 ? sumCount * stride : 0)
  }

  private static func exchangeCounts(
    _ parts: Partition, _ group: any ProcessGroup
  ) throws -> [Int] {
    let counts = parts.counts.map { Int64($0) }
    var answer = [Int64](repeating: 0, count: group.size)
    let each = Partition(parts: group.size, of: 8)
    unsafe try counts.withUnsafeBytes { send in
      unsafe try answer.withUnsafeMutableBytes { receive in
        unsafe try group.exchange(send, each, into: receive, each)
      }
    }
    return answer.map { Int($0) }
  }

  /// Adds the partial sums of all ranks, each row where it is owned, along the shard tree.
  ///
  /// - Parameters:
  ///   - partials: Rows for the keys and blocks that the exchange was made for.
  ///   - rows: `(owned, stride)`, overwritten; zero for a row without partial sums.
  /// - Throws: What the group throws.
  /// - Complexity: one collective (none for a rank alone); each rank sends `4 · stride` bytes for
  ///   each of its partial sums.
  package func reduce(
    _ partials: PartialRows, into rows: UnsafeMutablePointer<Float>
  ) throws {
    var source = unsafe partials.rows.pointer
    if group.size > 1 {
      unsafe try group.exchange(
        UnsafeRawBufferPointer(partials.rows.elements), sendParts,
        into: UnsafeMutableRawBufferPointer(received.elements), receiveParts)
      unsafe merger.merge(keys: sumRows.pointer, first: 0, sums: sums.pointer)
      unsafe source = sums.pointer
    }
    var next = 0
    for index in 0..<sumCount {
      let row = unsafe Int(sumRows.pointer[index])
      if row > next {
        unsafe (rows + next * stride).update(repeating: 0, count: (row - next) * stride)
      }
      unsafe (rows + row * stride).update(from: source + index * stride, count: stride)
      next = row + 1
    }
    unsafe (rows + next * stride).update(repeating: 0, count: (owned.count - next) * stride)
  }

  /// Gives every rank the rows of all owners; see ``TableGather/gather(_:into:)``.
  package func gather(
    _ rows: UnsafePointer<Float>, into all: UnsafeMutablePointer<Float>
  ) throws {
    unsafe try self.rows.gather(rows, into: all)
  }
}
