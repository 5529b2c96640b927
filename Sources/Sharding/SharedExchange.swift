package import Fabric
package import Kernels

/// The exchange of rows where each machine has one copy of the table.
///
/// Inside a machine partial sums are read where their ranks wrote them: each rank has a mailbox in
/// memory that its neighbours see, and a move is a fence. Between machines ``MachineSums`` and
/// ``OwnerRows`` send each row once.
@safe
package final class SharedExchange: RowExchange {
  package let isShared = true
  private let group: any ProcessGroup
  private let ownership: RowOwnership
  private let links: MachineLinks
  private let stride: Int
  private let shardCount: Int
  private let isOrdered: Bool
  private let owned: Range<Int>
  private let table: SharedRows
  private let merger: PartialMerger
  private var keyParts: Partition
  private var memory: (any SharedMemory)?
  /// Of the ranks of this machine.
  private var mailboxes: [Mailbox] = []
  /// The most partial sums of all ranks.
  private var capacity = 0
  private var sums: MachineSums?
  private var rows: OwnerRows?
  /// For each rank of another machine where its rows land on this one.
  private var landings: [UnsafeMutableRawPointer?] = unsafe []
  private var spreadLists: [KeyedRows] = []
  package private(set) var writtenRows: [KeyedRows] = []

  /// - Parameters:
  ///   - group: The ranks.
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
    self.shardCount = shardCount
    isOrdered = ordered
    owned = ownership.rows(of: group.rank)
    links = MachineLinks(
      group.machines, tree: ShardTree(shardCount: shardCount, rankCount: group.size))
    merger = PartialMerger(stride: stride, shardCount: shardCount, ordered: ordered)
    keyParts = Partition(parts: group.size, of: 0)
  }

  /// - Complexity: two collectives, once, and two more when there are several machines.
  package func makePartials(capacity: Int) throws -> PartialRows {
    var capacities = [Int64](repeating: 0, count: group.size)
    let own = Int64(capacity)
    unsafe try withUnsafeBytes(of: own) { own in
      unsafe try capacities.withUnsafeMutableBytes {
        unsafe try group.gather(own, into: $0, Partition(parts: group.size, of: 8))
      }
    }
    let counts = capacities.map { Int($0) }
    self.capacity = counts.reduce(0, +)
    let plan = OwnerRows.Plan(links, ownership, stride: stride, most: self.capacity)
    let memory = try makeMailboxes(counts, plan)
    self.memory = memory
    // The most that can ever arrive, so that no step has to make room.
    merger.begin(capacity: self.capacity)
    if links.map.machineCount > 1 {
      sums = try MachineSums(
        capacities: counts, links: links, ownership: ownership, stride: stride,
        shardCount: shardCount, ordered: isOrdered, group: group)
      rows = unsafe try OwnerRows(
        plan, links: links, inbox: mailboxes[links.map.index].inbox, owner: memory,
        stride: stride, group: group)
    }
    prepareLists(plan)
    return mailboxes[links.map.index].partials
  }

  private func makeMailboxes(
    _ capacities: [Int], _ plan: OwnerRows.Plan
  ) throws -> any SharedMemory {
    let shapes = links.map.neighbours.map { rank in
      Mailbox.Shape(
        ranks: group.size, partials: capacities[rank],
        sums: min(ownership.rows(of: rank).count, capacity), stride: stride,
        messages: plan.inbox(of: rank).total)
    }
    let memory = try group.shareMemory(byteCount: shapes[links.map.index].byteCount, .separate)
    mailboxes = shapes.enumerated().map {
      unsafe Mailbox(memory.part(ofNeighbour: $0), $1, owner: memory)
    }
    return memory
  }

  /// Makes the lists that ``spread(_:)`` fills.
  private func prepareLists(_ plan: OwnerRows.Plan) {
    let machine = links.map.machine
    let inboxes = links.map.neighbours.map { plan.inbox(of: $0) }
    unsafe landings = unsafe links.places.indices.map { rank in
      guard links.map.machines[rank] != machine else { return nil }
      let place = links.places[links.agent(of: rank, on: machine)]
      return unsafe mailboxes[place].inbox.baseAddress?.advanced(by: inboxes[place].offsets[rank])
    }
    let own = mailboxes[links.map.index].sums
    spreadLists = [KeyedRows](repeating: own, count: group.size)
    writtenRows = [KeyedRows](repeating: own, count: 1 + (rows?.sourceCount ?? 0))
  }

  /// - Complexity: one collective inside a machine, where nothing is sent; with several machines one
  ///   more, see ``MachineSums/start(_:)``.
  package func reduceToOwners(_ partials: PartialRows) throws -> KeyedRows {
    let own = mailboxes[links.map.index]
    unsafe ownership.partition(partials.keys.pointer, count: partials.count, into: &keyParts)
    for rank in 0..<group.size { unsafe own.starts.pointer[rank] = Int64(keyParts.offsets[rank]) }
    unsafe own.starts.pointer[group.size] = Int64(partials.count)
    try memory?.fence()
    try sums?.start(mailboxes)
    try sums?.finish()
    collect()
    let count = merger.group(bound: owned.count)
    unsafe merger.merge(
      keys: own.sumKeys.pointer, first: owned.lowerBound, sums: own.sumRows.pointer)
    unsafe own.sumCount.pointer[0] = Int64(count)
    return own.sums
  }

  /// Notes where the partial sums of rows this rank owns are; shards ascend, and so do blocks.
  private func collect() {
    merger.begin(capacity: capacity)
    for (index, run) in links.runs.enumerated() {
      if let sums, run.machine != links.map.machine {
        merger.add(sums.list(of: index), relativeTo: owned.lowerBound, stride: stride)
        continue
      }
      for rank in run.ranks {
        merger.add(
          mailboxes[links.places[rank]].partials(for: group.rank),
          relativeTo: owned.lowerBound, stride: stride)
      }
    }
  }

  /// - Complexity: one collective inside a machine, where nothing is sent; with several machines one
  ///   more, see ``OwnerRows``.
  package func spread(_ own: KeyedRows) throws -> [KeyedRows] {
    if let rows {
      try rows.start(own)
      try rows.finish()
      for index in 0..<rows.sourceCount { writtenRows[index + 1] = rows.received(index) }
    }
    writtenRows[0] = own
    try memory?.fence()
    for rank in 0..<group.size {
      spreadLists[rank] =
        if let landing = unsafe landings[rank] {
          unsafe OwnerRows.rows(at: landing)
        } else {
          mailboxes[links.places[rank]].sums
        }
    }
    return spreadLists
  }

  /// - Complexity: half a collective; ``settle()`` is the other half.
  package func announce() throws { try table.publish() }

  /// - Complexity: half a collective; ``settle()`` is the other half, and with several machines one
  ///   more.
  package func publish(keys: UnsafePointer<UInt32>, count: Int, of table: RowTable) throws {
    guard let rows else { return try self.table.publish() }
    try self.table.settle()
    unsafe try rows.start(keys, count: count, of: table)
    self.table.publish(expecting: rows)
  }

  package func settle() throws { try table.settle() }

  package func fetch(
    keys: UnsafePointer<UInt32>, count: Int, from table: RowTable, companion: KeyedRows?,
    into target: UnsafeMutablePointer<Float>, companionTarget: UnsafeMutablePointer<Float>?
  ) {
    preconditionFailure("a shared table is read in place")
  }
}
