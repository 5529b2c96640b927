import Fabric
import Kernels

/// Rows on their way from their owners to other machines, once to each.
///
/// A message:
///
///     count (Int64) │ keys (UInt32, count) │ rows (Float, count · stride)
@safe
final class OwnerRows {
  /// Where the messages for the ranks of one machine land.
  struct Plan {
    private let links: MachineLinks
    private let ownership: RowOwnership
    private let stride: Int
    private let most: Int

    /// - Parameters:
    ///   - links: The machines.
    ///   - ownership: Who owns which rows.
    ///   - stride: Floats per row.
    ///   - most: The most rows that all owners may send together.
    init(_ links: MachineLinks, _ ownership: RowOwnership, stride: Int, most: Int) {
      self.links = links
      self.ownership = ownership
      self.stride = stride
      self.most = most
    }

    /// The longest message of `owner`.
    func limit(of owner: Int) -> Int {
      8 + min(ownership.rows(of: owner).count, most) * (4 + 4 * stride)
    }

    /// The places in the inbox of `rank`, on whole cache lines.
    func inbox(of rank: Int) -> Partition {
      let clients = links.clients(of: rank)
      return Partition(
        counts: links.places.indices.map {
          clients.contains($0) ? (limit(of: $0) + 63) / 64 * 64 : 0
        })
    }
  }

  private let stride: Int
  private let route: any MessageRoute
  private let outbox: AlignedBuffer<UInt8>
  private let agents: [Int]
  private var messages: [Range<Int>]
  /// Where the messages for this rank land.
  private let places: [UnsafeMutableRawPointer]

  /// A collective.
  ///
  /// - Parameters:
  ///   - plan: Where messages land.
  ///   - links: The machines.
  ///   - inbox: Where they land on this rank.
  ///   - owner: Keeps `inbox`.
  ///   - stride: Floats per row.
  ///   - group: The ranks.
  /// - Throws: What the group throws.
  init(
    _ plan: Plan, links: MachineLinks, inbox: UnsafeMutableRawBufferPointer, owner: AnyObject,
    stride: Int, group: any ProcessGroup
  ) throws {
    self.stride = stride
    agents = links.agents(of: group.rank)
    outbox = AlignedBuffer(count: plan.limit(of: group.rank))
    messages = [Range<Int>](repeating: 0..<0, count: group.size)
    let room = plan.inbox(of: group.rank)
    unsafe places = unsafe links.clients(of: group.rank).compactMap {
      unsafe inbox.baseAddress?.advanced(by: room.offsets[$0])
    }
    route = unsafe try group.makeRoute(into: inbox, room, keeping: [owner, outbox])
  }

  /// Sends some rows, which are copied.
  ///
  /// - Throws: What the group throws.
  /// - Complexity: half a collective; `8 + count · (4 + 4 · stride)` bytes to each other machine.
  func start(_ rows: KeyedRows) throws {
    unsafe write(rows.keys, rows.count).update(from: rows.rows, count: rows.count * stride)
    try send(rows.count)
  }

  /// Sends rows of a table.
  ///
  /// - Throws: What the group throws.
  func start(_ keys: UnsafePointer<UInt32>, count: Int, of table: RowTable) throws {
    unsafe table.gather(index: keys, count: count, into: write(keys, count))
    try send(count)
  }

  /// Writes the keys of a message; returns where the rows belong.
  private func write(
    _ keys: UnsafePointer<UInt32>, _ count: Int
  ) -> UnsafeMutablePointer<Float> {
    let message = unsafe UnsafeMutableRawPointer(outbox.pointer)
    unsafe message.storeBytes(of: Int64(count), as: Int64.self)
    unsafe (message + 8).copyMemory(from: keys, byteCount: 4 * count)
    return unsafe (message + 8 + 4 * count).assumingMemoryBound(to: Float.self)
  }

  private func send(_ count: Int) throws {
    for agent in agents { messages[agent] = 0..<8 + count * (4 + 4 * stride) }
    unsafe try route.start(UnsafeRawBufferPointer(outbox.elements), messages)
  }

  /// Returns when the messages for this rank have come.
  ///
  /// - Throws: What the group throws.
  func finish() throws { try route.finish() }

  /// How many owners send to this rank.
  var sourceCount: Int { unsafe places.count }

  /// The rows of owner number `index` of those that send to this rank.
  func received(_ index: Int) -> KeyedRows { unsafe Self.rows(at: places[index]) }

  /// The rows in a message.
  static func rows(at message: UnsafeMutableRawPointer) -> KeyedRows {
    let count = unsafe Int(message.load(as: Int64.self))
    return unsafe KeyedRows(
      keys: UnsafePointer((message + 8).assumingMemoryBound(to: UInt32.self)),
      rows: (message + 8 + 4 * count).assumingMemoryBound(to: Float.self), count: count)
  }
}
