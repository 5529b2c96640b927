import Fabric
import Kernels

/// Partial sums on their way to owners on other machines: added up on their machine as far as the
/// shard tree allows, so that a row crosses once for each machine and block of shards.
///
/// A message has one section for each run of the sender's machine, in order:
///
///     count (Int64) │ keys (UInt32, count) │ blocks (UInt32, count) │ rows (Float, count · stride)
@safe
final class MachineSums {
  private let links: MachineLinks
  private let ownership: RowOwnership
  private let stride: Int
  private let rank: Int
  private let route: any MessageRoute
  /// The ranks that this rank sends to.
  private let clients: [Int]
  private let outbox: AlignedBuffer<UInt8>
  /// Where the message to each rank may begin.
  private let outParts: Partition
  private var messages: [Range<Int>]
  private let inbox: AlignedBuffer<UInt8>
  private let inParts: Partition
  private var lists: [PartialList?]
  private let merger: PartialMerger
  /// The most partial sums of this machine.
  private let capacity: Int
  /// `(S)`: the number of each shard's block among those of its run.
  private let blockNumbers: AlignedBuffer<UInt32>

  /// A collective.
  ///
  /// - Parameters:
  ///   - capacities: The most partial sums of each rank.
  ///   - links: The machines.
  ///   - ownership: Who owns which rows.
  ///   - stride: Floats per row.
  ///   - shardCount: `S`.
  ///   - ordered: Whether sums follow the shard tree.
  ///   - group: The ranks.
  /// - Throws: What the group throws.
  init(
    capacities: [Int], links: MachineLinks, ownership: RowOwnership, stride: Int,
    shardCount: Int, ordered: Bool, group: any ProcessGroup
  ) throws {
    self.links = links
    self.ownership = ownership
    self.stride = stride
    rank = group.rank
    let clients = links.clients(of: rank)
    self.clients = clients
    /// The longest message of `machine` to `owner`.
    func limit(_ machine: Int, _ owner: Int) -> Int {
      links.runs.reduce(0) { sum, run in
        guard run.machine == machine else { return sum }
        let most = min(
          capacities[run.ranks].reduce(0, +), ownership.rows(of: owner).count * run.blocks.count)
        return sum + 8 + most * (8 + 4 * stride)
      }
    }
    let (own, machines) = (links.map.machine, links.map.machines)
    outParts = Partition(
      counts: machines.indices.map { clients.contains($0) ? limit(own, $0) : 0 })
    let agents = links.agents(of: rank)
    inParts = Partition(
      counts: machines.indices.map { [rank] in
        agents.contains($0) ? limit(machines[$0], rank) : 0
      })
    outbox = AlignedBuffer(count: outParts.total)
    inbox = AlignedBuffer(count: inParts.total)
    messages = [Range<Int>](repeating: 0..<0, count: machines.count)
    lists = [PartialList?](repeating: nil, count: links.runs.count)
    capacity = links.map.neighbours.reduce(0) { $0 + capacities[$1] }
    merger = PartialMerger(stride: stride, shardCount: shardCount, ordered: ordered)
    merger.begin(capacity: capacity)
    blockNumbers = AlignedBuffer(count: shardCount)
    for run in links.runs {
      for (number, block) in run.blocks.enumerated() {
        for shard in block { unsafe blockNumbers.pointer[shard] = UInt32(number) }
      }
    }
    route = unsafe try group.makeRoute(
      into: UnsafeMutableRawBufferPointer(inbox.elements), inParts, keeping: [inbox, outbox])
  }

  /// Adds up and sends what the ranks of this machine have for the owners that this rank serves.
  ///
  /// - Parameter mailboxes: Those of this machine.
  /// - Throws: What the group throws.
  /// - Complexity: half a collective; `8 + n · (8 + 4 · stride)` bytes for each such owner and run
  ///   of this machine, where `n` counts pairs of a row and a block that has it.
  func start(_ mailboxes: [Mailbox]) throws {
    for client in clients {
      var end = outParts.offsets[client]
      for run in links.runs where run.machine == links.map.machine {
        end = write(run, to: client, mailboxes, at: end)
      }
      messages[client] = outParts.offsets[client]..<end
    }
    unsafe try route.start(UnsafeRawBufferPointer(outbox.elements), messages)
  }

  /// Writes one section; returns where it ends.
  private func write(
    _ run: MachineLinks.Run, to owner: Int, _ mailboxes: [Mailbox], at start: Int
  ) -> Int {
    let rows = ownership.rows(of: owner)
    merger.begin(capacity: capacity)
    for rank in run.ranks {
      merger.add(
        mailboxes[links.places[rank]].partials(for: owner), relativeTo: rows.lowerBound,
        stride: stride)
    }
    let blockCount = run.blocks.count
    if blockCount > 1 {
      unsafe merger.divide(by: blockNumbers.pointer, groupCount: blockCount)
    }
    let count = merger.group(bound: rows.count * blockCount)
    let section = unsafe UnsafeMutableRawPointer(outbox.pointer) + start
    unsafe section.storeBytes(of: Int64(count), as: Int64.self)
    let keys = unsafe (section + 8).assumingMemoryBound(to: UInt32.self)
    let blocks = unsafe keys + count
    unsafe merger.merge(
      keys: keys, first: 0,
      sums: UnsafeMutableRawPointer(blocks + count)
        .assumingMemoryBound(to: Float.self))
    let first = UInt32(truncatingIfNeeded: rows.lowerBound)
    let divisor = UInt32(truncatingIfNeeded: blockCount)
    for index in 0..<count {
      let (key, number) = unsafe keys[index].quotientAndRemainder(dividingBy: divisor)
      unsafe keys[index] = key &+ first
      unsafe blocks[index] = UInt32(truncatingIfNeeded: run.blocks[Int(number)].lowerBound)
    }
    return start + 8 + count * (8 + 4 * stride)
  }

  /// Returns when the partial sums of other machines have come.
  ///
  /// - Throws: What the group throws.
  /// - Complexity: the other half of the collective.
  func finish() throws {
    try route.finish()
    for agent in links.map.machines.indices where inParts.counts[agent] > 0 {
      var section = unsafe UnsafeRawPointer(inbox.pointer) + inParts.offsets[agent]
      for (index, run) in links.runs.enumerated()
      where run.machine == links.map.machines[agent] {
        let count = unsafe Int(section.loadUnaligned(as: Int64.self))
        lists[index] = unsafe PartialList(section + 8, count: count)
        unsafe section += 8 + count * (8 + 4 * stride)
      }
    }
  }

  /// What the ranks of run number `run`, of another machine, have for this rank.
  func list(of run: Int) -> PartialList {
    guard let list = lists[run] else {
      preconditionFailure("another machine has sent its sums")
    }
    return list
  }
}
