package import Kernels

/// The sequences of one rank's batch, for a backbone that reads what a user liked before a row.
///
/// A sequence is a run of *places*, each an item, the earliest first; all places of a batch lie one
/// after the other, without padding. A batch reads the items of its rows and of its places: for each
/// shard first those of its rows, then those of its places. These are its item references.
@safe
package struct SequenceBatch {
  /// Sequences of the batch.
  package let count: Int
  /// `(count + 1)`: where the places of each sequence start among all places.
  package let starts: UnsafePointer<UInt32>
  /// `(placeCount)`: rows of the item table, numbered over the whole job.
  package let items: UnsafePointer<UInt32>
  /// `(count)`: dense ids over the whole job.
  package let users: UnsafePointer<UInt32>
  /// `(B)`: for each row of the batch 1 + the last place it may read, 0 for a row with nothing before
  /// it.
  package let rowPlaces: UnsafePointer<UInt32>
  /// `(S' + 1)`: where the sequences of each local shard start.
  package let shardStarts: UnsafePointer<UInt32>
  /// Which references belong to which shard.
  package let references: ShardRuns

  /// Places of all sequences.
  package var placeCount: Int { unsafe Int(starts[count]) }

  /// The sequences of local shard `shard`.
  package func sequences(of shard: Int) -> Range<Int> {
    unsafe Int(shardStarts[shard])..<Int(shardStarts[shard + 1])
  }

  /// The places of sequence `sequence`.
  @inline(__always)
  package func places(of sequence: Int) -> Range<Int> {
    unsafe Int(starts[sequence])..<Int(starts[sequence &+ 1])
  }

  /// The places of some sequences.
  package func places(of sequences: Range<Int>) -> Range<Int> {
    unsafe Int(starts[sequences.lowerBound])..<Int(starts[sequences.upperBound])
  }
}

/// The most sequences and places of a batch.
package struct SequenceCapacity: Equatable, Sendable {
  package var sequences: Int
  package var places: Int
  /// The most places of one sequence.
  package var length: Int

  package init(sequences: Int, places: Int, length: Int) {
    self.sequences = sequences
    self.places = places
    self.length = length
  }
}

/// Memory for the sequences of a batch.
///
/// Filled shard by shard: sequences with ``append(user:count:)``, then ``close(shard:rows:items:)``.
@safe
package final class SequenceBuffer {
  package let capacity: SequenceCapacity
  /// `(rows)`: see ``SequenceBatch/rowPlaces``.
  package let rowPlaces: AlignedBuffer<UInt32>
  /// Sequences so far.
  package private(set) var count = 0
  /// Places so far.
  package private(set) var placeCount = 0

  private let starts: AlignedBuffer<UInt32>
  private let items: AlignedBuffer<UInt32>
  private let users: AlignedBuffer<UInt32>
  private let shardStarts: AlignedBuffer<UInt32>
  private let referenceStarts: AlignedBuffer<UInt32>
  private let shardOfReference: AlignedBuffer<UInt16>

  /// - Parameters:
  ///   - capacity: The most sequences and places.
  ///   - rows: The most rows.
  ///   - shardCount: `S'`, local shards.
  package init(capacity: SequenceCapacity, rows: Int, shardCount: Int) {
    self.capacity = capacity
    rowPlaces = AlignedBuffer(count: rows)
    starts = AlignedBuffer(count: capacity.sequences + 1)
    // A sequence is written before its length is known.
    items = AlignedBuffer(count: capacity.places + capacity.length)
    users = AlignedBuffer(count: capacity.sequences)
    shardStarts = AlignedBuffer(count: shardCount + 1)
    referenceStarts = AlignedBuffer(count: shardCount + 1)
    shardOfReference = AlignedBuffer(count: rows + capacity.places)
  }

  /// Forgets all sequences.
  package func begin() {
    count = 0
    placeCount = 0
  }

  /// Where the items of the next sequence go: room for the longest.
  package var next: UnsafeMutableBufferPointer<UInt32> {
    unsafe UnsafeMutableBufferPointer(start: items.pointer + placeCount, count: capacity.length)
  }

  /// Ends the next sequence.
  ///
  /// - Parameters:
  ///   - user: A dense id over the whole job.
  ///   - length: Items that were written to ``next``.
  /// - Returns: Its first place.
  @discardableResult
  package func append(user: UInt32, count length: Int) -> Int {
    precondition(
      count < capacity.sequences && placeCount + length <= capacity.places,
      "a batch has more places than planned")
    let first = placeCount
    unsafe users.pointer[count] = user
    placeCount += length
    count += 1
    unsafe starts.pointer[count] = UInt32(placeCount)
    return first
  }

  /// Ends local shard `shard`, whose last row is before row `end` of the batch.
  package func close(shard: Int, rows end: Int) {
    let start = unsafe Int(referenceStarts.pointer[shard])
    unsafe shardStarts.pointer[shard + 1] = UInt32(count)
    unsafe referenceStarts.pointer[shard + 1] = UInt32(end + placeCount)
    unsafe (shardOfReference.pointer + start).update(
      repeating: UInt16(shard), count: end + placeCount - start)
  }

  /// The sequences as a backbone sees them.
  ///
  /// - Parameter rows: How the rows of the batch belong to shards.
  /// - Returns: The sequences; valid until the next ``begin()``, and as long as the buffer.
  package func batch(_ rows: ShardRuns) -> SequenceBatch {
    unsafe SequenceBatch(
      count: count, starts: starts.pointer, items: items.pointer, users: users.pointer,
      rowPlaces: rowPlaces.pointer, shardStarts: shardStarts.pointer,
      references: ShardRuns(
        starts: referenceStarts.pointer, shards: rows.shards, blocks: rows.blocks,
        shardOfRow: shardOfReference.pointer, count: rows.count))
  }
}

/// A backbone whose score reads a sequence of the user, and the row of an item.
package protocol SequenceBackbone: Backbone {
  /// The most places of a sequence that it reads.
  var sequenceLength: Int { get }

  /// Writes the vector of every sequence after its last place: its product with the row of an item is
  /// the score of the item. That of a sequence without places is zero.
  ///
  /// - Parameters:
  ///   - sequences: Some sequences of one shard.
  ///   - items: The row of each place.
  ///   - dense: `(denseCount)`.
  ///   - vectors: `(sequences.count, itemLayout.stride)`, overwritten.
  func encode(
    _ sequences: SequenceBatch, items: WeightedProduct.Side, dense: UnsafePointer<Float>,
    into vectors: UnsafeMutablePointer<Float>)
}
