import Fabric
import Storage

/// The rows of one shard of a split with their labels and the scores a model gave them.
///
/// The buffers are borrowed: whoever makes a value keeps them alive while it is used. Within that
/// promise every use is inside the counts checked here, which makes the type safe.
@safe
package struct ScoredShard {
  /// The shard's number in the tree.
  package let shard: Int
  /// The user of each row; rows of one user stand together, users ascend.
  package let users: UnsafeBufferPointer<UInt32>
  /// 0 or 1 for each row.
  package let labels: UnsafeBufferPointer<UInt8>
  /// The score of each row, a logit: any value but NaN.
  package let scores: UnsafeBufferPointer<Float>

  /// Borrows the three columns of one shard; they have equal lengths, possibly 0.
  package init(
    shard: Int, users: UnsafeBufferPointer<UInt32>, labels: UnsafeBufferPointer<UInt8>,
    scores: UnsafeBufferPointer<Float>
  ) {
    precondition(shard >= 0, "a shard's number must not be negative")
    precondition(users.count == labels.count, "one label for each row")
    precondition(users.count == scores.count, "one score for each row")
    self.shard = shard
    unsafe self.users = unsafe users
    unsafe self.labels = unsafe labels
    unsafe self.scores = unsafe scores
  }

  /// The number of rows.
  package var count: Int { unsafe scores.count }

  /// What can be wrong with a row.
  private enum Defect: Int64 {
    case score = 1
    case label
    case order
  }

  /// Refuses rows that no metric is defined for, on all ranks together.
  ///
  /// Every rank throws the same `Failure`, naming the first such row of the lowest shard, so that
  /// none is left waiting in a later collective: kind software for a score that is NaN, data for a
  /// label other than 0 and 1, and for a user out of order when `grouped` asks for the order.
  ///
  /// - Complexity: O(rows of this rank); one collective of 8 bytes.
  static func check(
    _ shards: [ScoredShard], grouped: Bool, group: any ProcessGroup
  ) throws {
    // The earliest place is the largest code, and no defect is 0.
    var code: Int64 = 0
    for shard in shards {
      guard let (row, defect) = shard.firstDefect(grouped: grouped) else { continue }
      let place = Int64(shard.shard) << 44 | Int64(row) << 2 | defect.rawValue
      code = max(code, Int64.max - place)
    }
    unsafe try withUnsafeMutablePointer(to: &code) {
      unsafe try group.maximum(UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    guard code > 0 else { return }
    let place = Int64.max - code
    let row = "row \(place >> 2 & (1 << 42 - 1)) of shard \(place >> 44)"
    switch Defect(rawValue: place & 3) {
    case .score:
      throw Failure.software(
        "the score of \(row) is not a number; the model has diverged: try a smaller rate")
    case .label:
      throw Failure.data("the label of \(row) is neither 0 nor 1; prepare the dataset again")
    case .order, nil:
      throw Failure.data("\(row) is not in order of users; prepare the dataset again")
    }
  }

  private func firstDefect(grouped: Bool) -> (row: Int, defect: Defect)? {
    for row in 0..<count {
      if unsafe scores[row].isNaN { return (row, .score) }
      if unsafe labels[row] > 1 { return (row, .label) }
      if grouped, row > 0, unsafe users[row] < users[row - 1] { return (row, .order) }
    }
    return nil
  }
}
