import Interactions
import Kernels

/// The labeled rows of one rank's step: of each shard, in order of user, then of the epoch's order.
///
/// Rows of one user lie together, so the kernels that follow find its embedding in the first-level
/// cache. A user belongs to one shard and users ascend with shards, so sorting mixes no shards, and
/// the order does not depend on the ranks.
@safe
final class LabeledOrder {
  /// The dense id of the rank's first user.
  let firstUser: Int
  /// Rows so far; after ``sort()`` the buffers below hold as many.
  private(set) var count = 0
  /// Rows of the shards' training columns.
  let rows: AlignedBuffer<Int>
  /// Rows of this rank's user table.
  let users: AlignedBuffer<UInt32>
  private let items: AlignedBuffer<UInt32>
  /// 1 or 0.
  let labels: AlignedBuffer<Float>

  private let userCount: Int
  private let sorter: SegmentSort
  private let readRows: AlignedBuffer<Int>
  private let readUsers: AlignedBuffer<UInt32>
  private let readRecords: AlignedBuffer<LabeledRecord>
  /// Whether ``rows`` are asked for.
  private let keepsRows: Bool

  /// Room for `capacity` rows of `users`, the rank's dense ids; `keepsRows` for those who read
  /// ``rows``.
  init(capacity: Int, users: Range<Int>, keepsRows: Bool) {
    self.keepsRows = keepsRows
    firstUser = users.lowerBound
    userCount = users.count
    rows = AlignedBuffer(count: capacity)
    self.users = AlignedBuffer(count: capacity)
    items = AlignedBuffer(count: capacity)
    labels = AlignedBuffer(count: capacity)
    sorter = SegmentSort(capacity: capacity)
    readRows = AlignedBuffer(count: capacity)
    readUsers = AlignedBuffer(count: capacity)
    readRecords = AlignedBuffer(count: capacity)
  }

  /// Forgets all rows.
  func begin() { count = 0 }

  /// Reads the rows of local shard `shard` at `positions` of its epoch's order.
  ///
  /// Rows are scattered over the shard; read in one pass, many are on their way at once.
  func append(
    _ source: LabeledRecords, shard: Int, _ walk: EpochWalk, _ positions: Range<Int>
  ) {
    precondition(count + positions.count <= rows.count, "a step has more rows than planned")
    let rows = unsafe readRows.pointer + count
    unsafe walk.fill(rows, positions: positions)
    unsafe source.read(
      rows, count: positions.count, of: shard, users: readUsers.pointer + count,
      into: readRecords.pointer + count)
    count += positions.count
  }

  /// Orders what was read by user.
  func sort() {
    unsafe sorter.sort(readUsers.pointer, count: count, bound: userCount)
    let (order, records) = unsafe (sorter.order.pointer, readRecords.pointer)
    let (users, items, labels) = unsafe (users.pointer, items.pointer, labels.pointer)
    for index in 0..<count {
      let record = unsafe records[Int(order[index])]
      unsafe users[index] = record.user
      unsafe items[index] = record.item
      unsafe labels[index] = record.label
    }
    guard keepsRows else { return }
    let (rows, readRows) = unsafe (rows.pointer, readRows.pointer)
    for index in 0..<count { unsafe rows[index] = unsafe readRows[Int(order[index])] }
  }

  /// Copies the rows `range` to `batch`, from its row `start` on.
  func copy(_ range: Range<Int>, to batch: StepBatch, at start: Int) {
    let first = range.lowerBound
    unsafe (batch.users.pointer + start).update(from: users.pointer + first, count: range.count)
    unsafe (batch.items.pointer + start).update(from: items.pointer + first, count: range.count)
    unsafe (batch.labels.pointer + start).update(from: labels.pointer + first, count: range.count)
  }
}
