package import Storage

/// The order in time of a shard's positive training rows.
///
/// A user's sequence holds the items of the user's positive labeled training rows, the earliest
/// first; rows at the same time, and rows without timestamps, are in the order of the log. Negative
/// rows and exposures are no part of it. What the columns say was compared with the training rows
/// when the shard was opened; this value keeps them alive: safe to use as long as a copy of it is.
@safe
package struct Sequences: Sendable {
  /// The sequences by local user.
  package let items: CompressedRows
  /// The labeled training row, local to the shard, of each element of `items.items`.
  package nonisolated(unsafe) let rows: UnsafeBufferPointer<UInt32>
  /// For each labeled training row, positive or not, the number of elements of the user's sequence
  /// before it: of a positive row, its own position.
  package nonisolated(unsafe) let positions: UnsafeBufferPointer<UInt32>

  init(_ owner: ShardFiles) {
    items = CompressedRows(owner, offsets: .sequenceOffsets, items: .sequenceItems)
    unsafe rows = owner.elements(.sequenceRows)
    unsafe positions = owner.elements(.trainPositions)
  }
}

extension Dataset {
  /// Whether the dataset keeps the order of positive training rows in time.
  package var hasSequences: Bool { manifest.shards[0].sequenceItems != nil }

  /// Refuses a dataset that keeps no order in time.
  ///
  /// - Throws: `Failure` of kind data.
  package func requireSequences() throws(Failure) {
    guard hasSequences else {
      throw .data(
        "\(directory) keeps no order in time; prepare the dataset again with --sequences, or with "
          + "--split leave-one-out")
    }
  }
}

extension Shard {
  /// What the user of a labeled training row liked before it, the earliest first.
  ///
  /// - Parameter row: Local to the shard; it may be negative as well. Not checked in release.
  /// - Returns: Part of the user's sequence; valid as long as the dataset.
  /// - Precondition: The dataset keeps an order in time.
  package func context(ofTrainRow row: Int) -> UnsafeBufferPointer<UInt32> {
    guard let sequences else { preconditionFailure("the dataset keeps no order in time") }
    let sequence = unsafe sequences.items[local(train.users[row])]
    return unsafe UnsafeBufferPointer(rebasing: sequence[..<Int(sequences.positions[row])])
  }

  /// Copies the last items of what a user liked before the rows of a split that is judged.
  ///
  /// For valid that is the training sequence, for test also the positive rows of valid after it
  /// (Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018). Only leave-one-out
  /// makes all of it earlier than the rows that are judged.
  ///
  /// - Parameters:
  ///   - user: A dense id of this shard.
  ///   - split: `valid` or `test`; for `train` the same as for `valid`.
  ///   - buffer: As long as the context that is wanted.
  /// - Returns: How many items were written from the start of the buffer, the latest last.
  /// - Precondition: The dataset keeps an order in time.
  /// - Complexity: O(buffer + rows of the user in valid + log of all of them).
  package func copyContext(
    of user: UInt32, for split: Split, into buffer: UnsafeMutableBufferPointer<UInt32>
  ) -> Int {
    guard let sequences else { preconditionFailure("the dataset keeps no order in time") }
    let past = unsafe sequences.items[local(user)]
    let recent = split == .test ? validRows(of: user) : 0..<0
    let liked = recent.reduce(0) { unsafe $0 + Int(valid.labels[$1]) }
    let count = min(buffer.count, past.count + liked)
    var end = count
    for row in recent.reversed() {
      guard end > 0, unsafe valid.labels[row] == 1 else { continue }
      end -= 1
      unsafe buffer[end] = unsafe valid.items[row]
    }
    for position in 0..<end {
      unsafe buffer[position] = unsafe past[past.count - end + position]
    }
    return count
  }

  private func validRows(of user: UInt32) -> Range<Int> {
    let start = firstValidRow { $0 >= user }
    return start..<firstValidRow { $0 > user }
  }

  private func firstValidRow(where holds: (UInt32) -> Bool) -> Int {
    var (low, high) = (0, valid.count)
    while low < high {
      let middle = (low + high) / 2
      if unsafe holds(valid.users[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// A column of the sequences that contradicts the training rows, or `nil`.
  func firstInvalidSequenceColumn() -> Column? {
    guard let sequences else { return nil }
    let (offsets, items) = unsafe (sequences.items.offsets, sequences.items.items)
    if unsafe !areOffsets(offsets, over: items.count) { return .sequenceOffsets }
    if unsafe !areItems(items) { return .sequenceItems }
    for user in 0..<sequences.items.count {
      let start = unsafe Int(offsets[user])
      for position in unsafe 0..<sequences.items[user].count {
        let row = unsafe Int(sequences.rows[start + position])
        guard row < train.count, unsafe local(train.users[row]) == user,
          unsafe train.items[row] == items[start + position], unsafe train.labels[row] == 1
        else { return .sequenceRows }
        // Each row has one position: no other element can name it.
        guard unsafe Int(sequences.positions[row]) == position else { return .trainPositions }
      }
    }
    for row in 0..<train.count {
      let length = unsafe sequences.items[local(train.users[row])].count
      guard unsafe Int(sequences.positions[row]) <= length - Int(train.labels[row]) else {
        return .trainPositions
      }
    }
    let positives = unsafe train.labels.count { $0 == 1 }
    return items.count == positives ? nil : .sequenceItems
  }
}
