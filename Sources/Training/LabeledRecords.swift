import Interactions
import Kernels

/// A labeled training row in eight bytes.
struct LabeledRecord: BitwiseCopyable {
  /// The row of this rank's user table.
  let user: UInt32
  /// `2 · item + label`.
  private let itemAndLabel: UInt32

  init(user: UInt32, item: UInt32, label: UInt8) {
    self.user = user
    itemAndLabel = item &<< 1 | UInt32(label)
  }

  @inline(__always) var item: UInt32 { itemAndLabel &>> 1 }
  @inline(__always) var label: Float { Float(Int32(truncatingIfNeeded: itemAndLabel & 1)) }
}

/// The labeled training rows of this rank's shards, one record each.
///
/// The order of an epoch visits rows anywhere; a record is one trip to memory where the three
/// columns of a dataset are three, and its pages can be huge. It takes the place of the columns'
/// pages in memory: eight bytes for nine. But those pages the system may take back at any time, so
/// the rows of a large log stay where they are: memory must not grow with the log.
@safe
final class LabeledRecords {
  /// The most rows of a rank that become records: 32 MiB of them.
  static let most = 1 << 22

  private let shards: [Shard]
  private let firstUser: UInt32
  /// `nil` for a large log.
  private let records: AlignedBuffer<LabeledRecord>?
  /// Where the rows of each shard start.
  private let starts: [Int]

  /// Reads the columns of `shards` once, if they become records, and gives their pages back, shard
  /// by shard.
  ///
  /// - Parameters:
  ///   - shards: Of at most 2³¹ items.
  ///   - firstUser: The dense id of the rank's first user.
  ///   - most: The most rows that become records.
  /// - Complexity: O(rows).
  init(_ shards: [Shard], firstUser: Int, most: Int = most) {
    precondition(
      shards.allSatisfy { $0.itemCount <= 1 << 31 }, "a record has 31 bits for the item")
    self.shards = shards
    self.firstUser = UInt32(truncatingIfNeeded: firstUser)
    var starts = [0]
    for shard in shards { starts.append(starts[starts.count - 1] + shard.train.count) }
    self.starts = starts
    let count = starts[starts.count - 1]
    records = count <= most ? AlignedBuffer(count: count) : nil
    guard let records else { return }
    for (local, shard) in shards.enumerated() {
      let target = unsafe records.pointer + starts[local]
      for row in 0..<shard.train.count { unsafe target[row] = column(row, of: shard.train) }
      shard.train.release()
    }
  }

  @inline(__always)
  private func column(_ row: Int, of train: LabeledColumns) -> LabeledRecord {
    unsafe LabeledRecord(
      user: train.users[row] &- firstUser, item: train.items[row], label: train.labels[row])
  }

  /// Reads rows of a shard.
  ///
  /// - Parameters:
  ///   - rows: `(count)`: in file order from 0.
  ///   - count: Rows.
  ///   - shard: The local index.
  ///   - users: `(count)`, overwritten.
  ///   - target: `(count)`, overwritten.
  func read(
    _ rows: UnsafePointer<Int>, count: Int, of shard: Int,
    users: UnsafeMutablePointer<UInt32>, into target: UnsafeMutablePointer<LabeledRecord>
  ) {
    if let records {
      let source = unsafe records.pointer + starts[shard]
      for index in 0..<count {
        let record = unsafe source[rows[index]]
        unsafe users[index] = record.user
        unsafe target[index] = record
      }
    } else {
      let train = shards[shard].train
      for index in 0..<count {
        let record = unsafe column(rows[index], of: train)
        unsafe users[index] = record.user
        unsafe target[index] = record
      }
    }
  }
}
