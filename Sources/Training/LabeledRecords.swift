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
/// pages in memory: eight bytes for nine.
@safe
final class LabeledRecords {
  private let records: AlignedBuffer<LabeledRecord>
  /// Where the rows of each shard start.
  private let starts: [Int]

  /// Reads the columns of `shards` once and gives their pages back, shard by shard.
  ///
  /// - Parameters:
  ///   - shards: Of at most 2³¹ items.
  ///   - firstUser: The dense id of the rank's first user.
  /// - Complexity: O(rows).
  init(_ shards: [Shard], firstUser: Int) {
    var starts = [0]
    for shard in shards {
      precondition(shard.itemCount <= 1 << 31, "a record has 31 bits for the item")
      starts.append(starts[starts.count - 1] + shard.train.count)
    }
    records = AlignedBuffer(count: starts[starts.count - 1])
    self.starts = starts
    let first = UInt32(truncatingIfNeeded: firstUser)
    for (local, shard) in shards.enumerated() {
      let (users, items, labels) = unsafe (shard.train.users, shard.train.items, shard.train.labels)
      let target = unsafe records.pointer + starts[local]
      for row in 0..<shard.train.count {
        unsafe target[row] = unsafe LabeledRecord(
          user: users[row] &- first, item: items[row], label: labels[row])
      }
      shard.train.release()
    }
  }

  /// The rows of local shard `shard`, in file order.
  func rows(of shard: Int) -> UnsafePointer<LabeledRecord> {
    unsafe UnsafePointer(records.pointer + starts[shard])
  }
}
