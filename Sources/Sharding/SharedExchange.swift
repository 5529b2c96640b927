package import Fabric
package import Kernels

/// The exchange of rows among ranks of one machine: partial sums are read where their ranks wrote
/// them, and the table is one copy.
///
/// Each rank has a mailbox: how many partial sums it has for each owner, the partial sums, and the
/// complete sums of rows it owns. A move is a fence.
@safe
package final class SharedExchange: RowExchange {
  package let isShared = true
  private let group: any ProcessGroup
  private let ownership: RowOwnership
  private let stride: Int
  private let owned: Range<Int>
  private let table: SharedRows
  private let merger: PartialMerger
  private var keyParts: Partition
  private var memory: (any SharedMemory)?
  private var mailboxes: [Mailbox] = []
  private var spreadLists: [KeyedRows] = []

  /// - Parameters:
  ///   - group: The ranks, all on one machine.
  ///   - ownership: Who owns which rows.
  ///   - table: The weights.
  ///   - stride: Floats per row.
  ///   - shardCount: `S`.
  ///   - ordered: Whether sums follow the shard tree.
  package init(
    group: any ProcessGroup, ownership: RowOwnership, table: SharedRows, stride: Int,
    shardCount: Int, ordered: Bool
  ) {
    self.group = group
    self.ownership = ownership
    self.table = table
    self.stride = stride
    owned = ownership.rows(of: group.rank)
    merger = PartialMerger(owned: owned, stride: stride, shardCount: shardCount, ordered: ordered)
    keyParts = Partition(parts: group.size, of: 0)
  }

  /// - Complexity: three collectives, once.
  package func makePartials(capacity: Int) throws -> PartialRows {
    var total = [Int64(capacity)]
    unsafe try total.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    let shape = Mailbox.Shape(
      ranks: group.size, partials: capacity, sums: min(owned.count, Int(total[0])),
      stride: stride)
    let memory = try group.shareMemory(byteCount: shape.byteCount, .separate)
    self.memory = memory
    unsafe shape.write(to: memory.part(ofNeighbour: group.rank))
    try memory.fence()
    mailboxes = (0..<group.size).map {
      unsafe Mailbox(memory.part(ofNeighbour: $0), stride: stride, owner: memory)
    }
    spreadLists = mailboxes.map {
      unsafe KeyedRows(keys: $0.sumKeys.pointer, rows: $0.sumRows.pointer, count: 0)
    }
    // The most that can ever arrive, so that no step has to make room.
    merger.reserve(Int(total[0]))
    return mailboxes[group.rank].partials
  }

  /// - Complexity: one collective; nothing is sent.
  package func reduceToOwners(_ partials: PartialRows) throws -> KeyedRows {
    let own = mailboxes[group.rank]
    unsafe ownership.partition(partials.keys.pointer, count: partials.count, into: &keyParts)
    for rank in 0..<group.size { unsafe own.starts.pointer[rank] = Int64(keyParts.offsets[rank]) }
    unsafe own.starts.pointer[group.size] = Int64(partials.count)
    try memory?.fence()
    let count = merger.group(collect())
    unsafe merger.merge(keys: own.sumKeys.pointer, sums: own.sumRows.pointer)
    unsafe own.sumCount.pointer[0] = Int64(count)
    return unsafe KeyedRows(keys: own.sumKeys.pointer, rows: own.sumRows.pointer, count: count)
  }

  /// Notes where the partial sums of rows this rank owns are; ranks ascend, and so do blocks.
  private func collect() -> Int {
    let (keys, blocks) = unsafe (merger.keys.pointer, merger.blocks.pointer)
    let places = unsafe merger.places.pointer
    let first = UInt32(truncatingIfNeeded: owned.lowerBound)
    var total = 0
    for box in mailboxes {
      let starts = unsafe box.starts.pointer
      let range = unsafe Int(starts[group.rank])..<Int(starts[group.rank + 1])
      let (boxKeys, boxBlocks) = unsafe (box.partials.keys.pointer, box.partials.blocks.pointer)
      let rows = unsafe UnsafePointer(box.partials.rows.pointer)
      for index in range {
        unsafe keys[total] = unsafe boxKeys[index] &- first
        unsafe blocks[total] = unsafe boxBlocks[index]
        unsafe places[total] = unsafe rows + index &* stride
        total &+= 1
      }
    }
    return total
  }

  /// - Complexity: one collective; nothing is sent.
  package func spread(_ own: KeyedRows) throws -> [KeyedRows] {
    try memory?.fence()
    for (rank, box) in mailboxes.enumerated() {
      spreadLists[rank] = unsafe KeyedRows(
        keys: box.sumKeys.pointer, rows: box.sumRows.pointer,
        count: Int(box.sumCount.pointer[0]))
    }
    return spreadLists
  }

  /// - Complexity: half a collective; ``settle()`` is the other half.
  package func publish(keys: UnsafePointer<UInt32>, count: Int, of table: RowTable) throws {
    try self.table.publish()
  }

  package func settle() throws { try table.settle() }

  package func fetch(
    keys: UnsafePointer<UInt32>, count: Int, from table: RowTable, companion: KeyedRows?,
    into target: UnsafeMutablePointer<Float>, companionTarget: UnsafeMutablePointer<Float>?
  ) {
    preconditionFailure("a shared table is read in place")
  }
}

/// One rank's part of the memory of a ``SharedExchange``.
///
///     partials, sums (Int64)  │ starts (Int64, P + 1) │ sum count (Int64)
///     │ keys, blocks (UInt32, partials) │ sum keys (UInt32, sums)
///     │ rows (Float, partials · stride) │ sum rows (Float, sums · stride)
@safe
private struct Mailbox {
  /// How long its arrays are; other ranks read it from the memory.
  struct Shape {
    let ranks: Int
    let partials: Int
    let sums: Int
    let stride: Int

    private static func padded(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }

    var keys: Int { Self.padded(8 * (ranks + 5)) }
    var blocks: Int { keys + Self.padded(4 * partials) }
    var sumKeys: Int { blocks + Self.padded(4 * partials) }
    var rows: Int { sumKeys + Self.padded(4 * sums) }
    var sumRows: Int { rows + Self.padded(4 * stride * partials) }
    var byteCount: Int { sumRows + Self.padded(4 * stride * sums) }

    func write(to part: UnsafeMutableRawBufferPointer) {
      unsafe part.storeBytes(of: Int64(ranks), toByteOffset: 0, as: Int64.self)
      unsafe part.storeBytes(of: Int64(partials), toByteOffset: 8, as: Int64.self)
      unsafe part.storeBytes(of: Int64(sums), toByteOffset: 16, as: Int64.self)
    }
  }

  /// `(P + 1)`: where the partial sums for each owner start, and their end.
  let starts: AlignedBuffer<Int64>
  /// `(1)`.
  let sumCount: AlignedBuffer<Int64>
  let partials: PartialRows
  let sumKeys: AlignedBuffer<UInt32>
  let sumRows: AlignedBuffer<Float>

  init(_ part: UnsafeMutableRawBufferPointer, stride: Int, owner: AnyObject) {
    let shape = unsafe Shape(
      ranks: Int(part.load(as: Int64.self)),
      partials: Int(part.load(fromByteOffset: 8, as: Int64.self)),
      sums: Int(part.load(fromByteOffset: 16, as: Int64.self)), stride: stride)
    guard let base = part.baseAddress else {
      preconditionFailure("shared memory has an address")
    }
    func view<Element: BitwiseCopyable>(_ offset: Int, _ count: Int) -> AlignedBuffer<Element> {
      unsafe AlignedBuffer(viewing: base + offset, count: count, owner: owner)
    }
    sumCount = view(24, 1)
    starts = view(32, shape.ranks + 1)
    partials = PartialRows(
      keys: view(shape.keys, shape.partials), blocks: view(shape.blocks, shape.partials),
      rows: view(shape.rows, shape.partials * stride), stride: stride)
    sumKeys = view(shape.sumKeys, shape.sums)
    sumRows = view(shape.sumRows, shape.sums * stride)
  }
}
