import Fabric
import Kernels
import Objectives

/// `t-ce`: mean of BCE over the rows of L and U, the latter as negatives, that a cut over the whole
/// job's batch leaves.
///
/// The losses of the record are those of all rows: what was dropped can be seen to stay dear, and a
/// loss that is no number is not cut away unseen.
final class TruncatedObjective: BatchObjective {
  private let largestRate: Double
  private let steps: Int
  private let selection: SmallestSelection
  private let sizes: AlignedBuffer<UInt32>

  /// Room for batches of `capacity` rows.
  init(_ configuration: TrainingConfiguration, capacity: Int, group: any ProcessGroup) {
    largestRate = configuration.dropRate
    steps = configuration.dropSteps
    selection = SmallestSelection(group: group)
    sizes = AlignedBuffer(count: capacity)
  }

  var rows: StepRows { .joint }

  /// - Complexity: four collectives if there are several ranks and a row to drop.
  func evaluate(
    _ pass: BatchPass, _ record: inout StepRecord, _ position: StepPosition
  ) throws {
    let batch = pass.batch
    let all = record.labeledRows + record.unlabeledRows
    let kept = TruncatedCrossEntropy.keptRows(
      of: all,
      dropRate: TruncatedCrossEntropy.dropRate(
        step: position.number, largest: largestRate, steps: steps))
    let scale = Float(1 / Double(max(1, kept)))
    for shard in batch.labeledCounts.indices {
      let (labeled, unlabeled) = (batch.labeledRows(of: shard), batch.unlabeledRows(of: shard))
      pass.note(
        .labeled, of: shard, BinaryCrossEntropy.evaluate(batch.logitBatch(labeled), scale: scale))
      pass.note(
        .unlabeled, of: shard,
        BinaryCrossEntropy.evaluateAsNegatives(batch.logitBatch(unlabeled), scale: scale))
    }
    if kept < all { try truncate(batch, keeping: kept) }
  }

  private func truncate(_ batch: StepBatch, keeping kept: Int) throws {
    // Unlabeled rows have label 0.
    let rows = batch.logitBatch(0..<batch.count)
    unsafe TruncatedCrossEntropy.writeSizes(of: rows, into: sizes.pointer)
    let cut = unsafe try selection.cut(sizes.pointer, count: batch.count, keeping: kept)
    var ties = cut.ties
    unsafe TruncatedCrossEntropy.truncate(
      rows, sizes: sizes.pointer, bound: cut.bound, ties: &ties)
  }
}
