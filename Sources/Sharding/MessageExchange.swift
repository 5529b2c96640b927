package import Fabric
package import Kernels

/// The exchange of rows by messages of each rank for itself: row numbers to their owners, rows back,
/// gradients to owners; and, where every rank has a replica of its own, owners' rows to everybody.
///
/// On one rank nothing is copied. All buffers stay; after warm-up no call allocates.
@safe
package final class MessageExchange: RowExchange {
  package let isShared = false
  private let group: any ProcessGroup
  private let ownership: RowOwnership
  private let stride: Int
  private let owned: Range<Int>

  // Counts travel in a message of their own: one Int64 per rank.
  private let countParts: Partition
  private let sendCounts: AlignedBuffer<Int64>
  private let receiveCounts: AlignedBuffer<Int64>
  private var keyParts: Partition
  private var sendParts: Partition
  private var receiveParts: Partition
  private let sendBytes = ScratchBuffer<UInt8>()
  private let receiveBytes = ScratchBuffer<UInt8>()

  private let merger: PartialMerger
  private let wantedKeys = ScratchBuffer<UInt32>()
  private let mergedKeys = ScratchBuffer<UInt32>()
  private let mergedRows = ScratchBuffer<Float>()
  private let spreadKeys = ScratchBuffer<UInt32>()
  private let spreadRows = ScratchBuffer<Float>()
  private let ownRows = ScratchBuffer<Float>()
  /// Kept, so that handing it out allocates nothing.
  private var spreadList: [KeyedRows] = []

  /// - Parameters:
  ///   - group: The ranks.
  ///   - ownership: Who owns which rows.
  ///   - stride: Floats per row.
  ///   - shardCount: `S`.
  ///   - ordered: Whether sums follow the shard tree.
  package init(
    group: any ProcessGroup, ownership: RowOwnership, stride: Int, shardCount: Int, ordered: Bool
  ) {
    self.group = group
    self.ownership = ownership
    self.stride = stride
    owned = ownership.rows(of: group.rank)
    merger = PartialMerger(stride: stride, shardCount: shardCount, ordered: ordered)
    countParts = Partition(parts: group.size, of: MemoryLayout<Int64>.stride)
    sendCounts = AlignedBuffer(count: group.size)
    receiveCounts = AlignedBuffer(count: group.size)
    keyParts = Partition(parts: group.size, of: 0)
    sendParts = keyParts
    receiveParts = keyParts
  }

  // MARK: Gradients to owners

  /// - Complexity: one collective, once; a rank alone calls none.
  package func makePartials(capacity: Int) throws -> PartialRows {
    if group.size > 1 { try reserve(capacity) }
    return PartialRows(capacity: capacity, stride: stride)
  }

  /// Makes room for the most that can ever be sent and received, so that no step has to.
  ///
  /// - Parameter capacity: The most partial sums, and rows asked for, of this rank.
  /// - Throws: What the group throws.
  private func reserve(_ capacity: Int) throws {
    unsafe receiveCounts.pointer[0] = Int64(capacity)
    unsafe try group.sum(UnsafeMutableBufferPointer(start: receiveCounts.pointer, count: 1))
    let total = unsafe Int(receiveCounts.pointer[0])
    merger.begin(capacity: total)
    let sums = min(total, owned.count)
    _ = unsafe (mergedKeys.reserve(sums), mergedRows.reserve(sums * stride))
    _ = unsafe wantedKeys.reserve(total)
    // Partial sums or rows with companions, whichever are longer.
    let bytesPerRow = 8 + 8 * stride
    _ = unsafe sendBytes.reserve(total * bytesPerRow)
    _ = unsafe receiveBytes.reserve(total * bytesPerRow)
  }

  /// - Complexity: two collectives; each rank sends at most one row per distinct row it touched
  ///   and block of shards it owns, `8 + 4 · stride` bytes each.
  package func reduceToOwners(_ partials: PartialRows) throws -> KeyedRows {
    guard group.size > 1 else {
      // One rank has one block: its partial sums are the sums.
      return unsafe KeyedRows(
        keys: partials.keys.pointer, rows: partials.rows.pointer, count: partials.count)
    }
    let bytesPerRow = 8 + 4 * stride
    unsafe ownership.partition(partials.keys.pointer, count: partials.count, into: &keyParts)
    let received = try exchangeCounts()
    sendParts.set { keyParts.counts[$0] * bytesPerRow }
    receiveParts.set { unsafe Int(receiveCounts.pointer[$0]) * bytesPerRow }
    pack(partials)
    try exchangeBytes()
    unpackPartials(received)
    let count = merger.group(bound: owned.count)
    let (keys, sums) = unsafe (mergedKeys.reserve(count), mergedRows.reserve(count * stride))
    unsafe merger.merge(keys: keys, first: owned.lowerBound, sums: sums)
    return unsafe KeyedRows(keys: keys, rows: sums, count: count)
  }

  /// Each destination gets its keys, its blocks, its rows.
  private func pack(_ partials: PartialRows) {
    let bytes = unsafe UnsafeMutableRawPointer(sendBytes.reserve(sendParts.total))
    for rank in 0..<group.size {
      let (start, count) = (keyParts.offsets[rank], keyParts.counts[rank])
      let target = unsafe bytes + sendParts.offsets[rank]
      unsafe target.copyMemory(from: partials.keys.pointer + start, byteCount: 4 * count)
      unsafe (target + 4 * count).copyMemory(
        from: partials.blocks.pointer + start, byteCount: 4 * count)
      unsafe (target + 8 * count).copyMemory(
        from: partials.rows.pointer + start * stride, byteCount: 4 * count * stride)
    }
  }

  private func unpackPartials(_ total: Int) {
    merger.begin(capacity: total)
    let bytes = unsafe UnsafeRawPointer(receiveBytes.pointer)
    for rank in 0..<group.size {
      let count = unsafe Int(receiveCounts.pointer[rank])
      unsafe merger.add(
        PartialList(bytes + receiveParts.offsets[rank], count: count),
        relativeTo: owned.lowerBound, stride: stride)
    }
  }

  // MARK: Rows to those who ask

  /// - Complexity: three collectives; each rank sends 4 bytes per distinct row it asks for, and
  ///   `4 · stride` bytes (twice that with a companion) per row it is asked for.
  package func fetch(
    keys: UnsafePointer<UInt32>, count: Int, from table: RowTable, companion: KeyedRows?,
    into target: UnsafeMutablePointer<Float>, companionTarget: UnsafeMutablePointer<Float>?
  ) throws {
    unsafe ownership.partition(keys, count: count, into: &keyParts)
    let requested = try exchangeCounts()
    sendParts.set { keyParts.counts[$0] * 4 }
    receiveParts.set { unsafe Int(receiveCounts.pointer[$0]) * 4 }
    let sendKeys = unsafe UnsafeMutableRawPointer(sendBytes.reserve(sendParts.total))
    unsafe sendKeys.copyMemory(from: keys, byteCount: 4 * count)
    try exchangeBytes()
    let wanted = unsafe wantedKeys.reserve(requested)
    unsafe UnsafeMutableRawPointer(wanted).copyMemory(
      from: receiveBytes.pointer, byteCount: 4 * requested)

    let width = companion == nil ? stride : 2 * stride
    sendParts.set { unsafe Int(receiveCounts.pointer[$0]) * 4 * width }
    receiveParts.set { keyParts.counts[$0] * 4 * width }
    let answer = unsafe UnsafeMutableRawPointer(sendBytes.reserve(sendParts.total))
      .bindMemory(to: Float.self, capacity: requested * width)
    unsafe writeAnswer(wanted, table: table, companion: companion, width: width, into: answer)
    try exchangeBytes()
    let rows = unsafe UnsafeRawPointer(receiveBytes.pointer).bindMemory(
      to: Float.self, capacity: count * width)
    for position in 0..<count {
      let row = unsafe rows + position * width
      unsafe (target + position * stride).update(from: row, count: stride)
      if let companionTarget = unsafe companionTarget, width > stride {
        unsafe (companionTarget + position * stride).update(from: row + stride, count: stride)
      }
    }
  }

  private func writeAnswer(
    _ wanted: UnsafePointer<UInt32>, table: RowTable, companion: KeyedRows?, width: Int,
    into answer: UnsafeMutablePointer<Float>
  ) {
    var position = 0
    for rank in 0..<group.size {
      // Requests of one rank ascend, so its companions are found in one walk.
      var candidate = 0
      for _ in unsafe 0..<Int(receiveCounts.pointer[rank]) {
        let key = unsafe wanted[position]
        let row = unsafe answer + position * width
        unsafe row.update(from: table.row(Int(key)), count: stride)
        if let companion {
          while candidate < companion.count, unsafe companion.keys[candidate] < key {
            candidate += 1
          }
          if candidate < companion.count, unsafe companion.keys[candidate] == key {
            unsafe (row + stride).update(from: companion.rows + candidate * stride, count: stride)
          } else {
            unsafe (row + stride).update(repeating: 0, count: stride)
          }
        }
        position += 1
      }
    }
  }

  // MARK: Owners' rows to everybody

  package var writtenRows: [KeyedRows] { spreadList }

  package func announce() {}

  /// - Complexity: three collectives; each rank contributes `4 + 4 · stride` bytes per row.
  package func spread(_ own: KeyedRows) throws -> [KeyedRows] {
    let rows = try gatherAll(own)
    if spreadList.isEmpty { spreadList.append(rows) } else { spreadList[0] = rows }
    return spreadList
  }

  private func gatherAll(_ own: KeyedRows) throws -> KeyedRows {
    guard group.size > 1 else { return own }
    unsafe sendCounts.pointer[0] = Int64(own.count)
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: sendCounts.pointer, count: 8),
      into: UnsafeMutableRawBufferPointer(start: receiveCounts.pointer, count: 8 * group.size),
      countParts)
    var total = 0
    for rank in 0..<group.size { unsafe total += Int(receiveCounts.pointer[rank]) }
    let keys = unsafe spreadKeys.reserve(total)
    receiveParts.set { unsafe Int(receiveCounts.pointer[$0]) * 4 }
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: own.keys, count: own.count * 4),
      into: UnsafeMutableRawBufferPointer(start: keys, count: total * 4), receiveParts)
    let rows = unsafe spreadRows.reserve(total * stride)
    receiveParts.set { unsafe Int(receiveCounts.pointer[$0]) * 4 * stride }
    unsafe try group.gather(
      UnsafeRawBufferPointer(start: own.rows, count: own.count * 4 * stride),
      into: UnsafeMutableRawBufferPointer(start: rows, count: total * 4 * stride), receiveParts)
    return unsafe KeyedRows(keys: keys, rows: rows, count: total)
  }

  /// - Complexity: three collectives, as ``spread(_:)``.
  package func publish(keys: UnsafePointer<UInt32>, count: Int, of table: RowTable) throws {
    guard group.size > 1 else { return }
    let rows = unsafe ownRows.reserve(count * stride)
    unsafe table.gather(index: keys, count: count, into: rows)
    let all = unsafe try gatherAll(KeyedRows(keys: keys, rows: rows, count: count))
    unsafe table.replace(index: all.keys, count: all.count, with: all.rows)
  }

  package func settle() {}

  // MARK: Messages

  /// Tells every rank how many keys of `keyParts` it gets; returns how many this rank gets.
  private func exchangeCounts() throws -> Int {
    for rank in 0..<group.size { unsafe sendCounts.pointer[rank] = Int64(keyParts.counts[rank]) }
    unsafe try group.exchange(
      UnsafeRawBufferPointer(start: sendCounts.pointer, count: 8 * group.size), countParts,
      into: UnsafeMutableRawBufferPointer(start: receiveCounts.pointer, count: 8 * group.size),
      countParts)
    var total = 0
    for rank in 0..<group.size { unsafe total += Int(receiveCounts.pointer[rank]) }
    return total
  }

  private func exchangeBytes() throws {
    let receive = unsafe receiveBytes.reserve(receiveParts.total)
    unsafe try group.exchange(
      UnsafeRawBufferPointer(start: sendBytes.pointer, count: sendParts.total), sendParts,
      into: UnsafeMutableRawBufferPointer(start: receive, count: receiveParts.total), receiveParts)
  }
}
