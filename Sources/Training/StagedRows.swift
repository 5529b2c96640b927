import Backbones
import Interactions
import Kernels

/// The labeled rows of one shard's users of a step, on their way into a batch, with what was drawn
/// for them.
@safe
final class StagedRows {
  /// Rows in use.
  var count = 0
  /// Rows of the shard's training columns.
  let rows: AlignedBuffer<Int>
  /// Rows of this rank's user table.
  let users: AlignedBuffer<UInt32>
  /// `(rows, perRow)`: unlabeled items.
  let drawn: AlignedBuffer<UInt32>
  private let items: AlignedBuffer<UInt32>
  private let labels: AlignedBuffer<Float>
  /// See ``SequenceBatch/rowPlaces``.
  private let places: AlignedBuffer<UInt32>
  private let perRow: Int

  init(capacity: Int, perRow: Int) {
    self.perRow = perRow
    rows = AlignedBuffer(count: capacity)
    users = AlignedBuffer(count: capacity)
    drawn = AlignedBuffer(count: capacity * perRow)
    items = AlignedBuffer(count: capacity)
    labels = AlignedBuffer(count: capacity)
    places = AlignedBuffer(count: capacity)
  }

  /// Adds a row of `user`, whose sequence starts at `firstPlace` of the batch.
  func append(
    _ row: ShardSequences.Row, of columns: LabeledColumns, user: UInt32, firstPlace: Int
  ) {
    precondition(count < rows.count, "a step has more rows than planned")
    let number = Int(row.number)
    unsafe rows.pointer[count] = number
    unsafe users.pointer[count] = user
    unsafe items.pointer[count] = unsafe columns.items[number]
    unsafe labels.pointer[count] = unsafe Float(columns.labels[number])
    unsafe places.pointer[count] = UInt32(firstPlace + Int(row.position))
    count += 1
  }

  /// Copies the labeled rows, or those that make pairs; returns the new end.
  func copyLabeled(to batch: StepBatch, at start: Int, paired: Bool) -> Int {
    var end = start
    for row in 0..<count where !paired || isPaired(row) {
      write(row, item: unsafe items.pointer[row], label: unsafe labels.pointer[row], to: batch, end)
      end += 1
    }
    return end
  }

  /// Copies what was drawn, leaving out users without an unlabeled item; returns the new end.
  func copyUnlabeled(to batch: StepBatch, at start: Int) -> Int {
    var end = start
    for row in 0..<count {
      for draw in 0..<perRow {
        let item = unsafe drawn.pointer[row * perRow + draw]
        guard item != UnlabeledSampler.none else { continue }
        write(row, item: item, label: 0, to: batch, end)
        end += 1
      }
    }
    return end
  }

  /// Copies what was drawn for the rows that make pairs; returns the new end.
  func copyPairs(to batch: StepBatch, at start: Int) -> Int {
    var (end, partner) = (start, UInt32(0))
    for row in 0..<count where isPaired(row) {
      for draw in 0..<perRow {
        write(row, item: unsafe drawn.pointer[row * perRow + draw], label: 0, to: batch, end)
        unsafe batch.partners.pointer[end] = partner
        end += 1
      }
      partner += 1
    }
    return end
  }

  /// Whether a row makes pairs. All items of a user were drawn, or none.
  private func isPaired(_ row: Int) -> Bool {
    unsafe labels.pointer[row] != 0 && drawn.pointer[row * perRow] != UnlabeledSampler.none
  }

  private func write(_ row: Int, item: UInt32, label: Float, to batch: StepBatch, _ end: Int) {
    unsafe batch.users.pointer[end] = unsafe users.pointer[row]
    unsafe batch.items.pointer[end] = item
    unsafe batch.labels.pointer[end] = label
    unsafe batch.sequences?.rowPlaces.pointer[end] = unsafe places.pointer[row]
  }
}
