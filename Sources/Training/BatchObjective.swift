import Fabric
import Kernels
import Objectives
import Sharding

/// What the rows of a batch cost, with their derivatives: the part in which supervised methods
/// differ.
protocol BatchObjective: AnyObject {
  /// The rows of a batch.
  var rows: StepRows { get }

  /// Writes the derivatives of all scores, and each shard's losses as figures of the reduction.
  ///
  /// - Parameters:
  ///   - pass: The batch, with scores.
  ///   - record: The step; knows the rows, and learns what the losses are sums over.
  ///   - position: The step.
  /// - Throws: What the group throws.
  func evaluate(_ pass: BatchPass, _ record: inout StepRecord, _ position: StepPosition) throws
}

/// The figures of a supervised step.
enum LossFigure: Int, CaseIterable { case labeled, unlabeled }

extension BatchPass {
  /// Notes a loss of a shard.
  func note(_ figure: LossFigure, of shard: Int, _ loss: Double) {
    unsafe reduction.figureLeaves.pointer[shard * LossFigure.allCases.count + figure.rawValue] =
      loss
  }

  /// The losses of all shards.
  func loss(_ figure: LossFigure) -> Double { reduction.figure(figure.rawValue) }
}

extension StepBatch {
  /// The labeled rows of local shard `shard`.
  func labeledRows(of shard: Int) -> Range<Int> {
    start(of: shard)..<start(of: shard) + labeledCounts[shard]
  }

  /// The unlabeled rows of local shard `shard`.
  func unlabeledRows(of shard: Int) -> Range<Int> {
    start(of: shard) + labeledCounts[shard]..<end(of: shard)
  }

  /// Some rows as an objective sees them.
  func logitBatch(_ rows: Range<Int>) -> LogitBatch {
    unsafe LogitBatch(
      logits: logits.pointer + rows.lowerBound, labels: labels.pointer + rows.lowerBound,
      gradients: gradients.pointer + rows.lowerBound, count: rows.count)
  }
}

/// Methods in which every row has a loss of its own.
///
///     bce, negatives, idl    mean over L of BCE  +  λ · mean over U of BCE(·, 0) or IDL
///     r-ce                   mean over L and U of reweighted BCE, U as negatives
final class RowwiseObjective: BatchObjective {
  private let method: Method
  private let unlabeledWeight: Double
  private let power: Float

  init(_ method: Method, _ configuration: TrainingConfiguration) {
    self.method = method
    unlabeledWeight = configuration.unlabeledWeight
    power = Float(configuration.reweightPower)
  }

  var rows: StepRows { method == .bce ? .labeled : .joint }

  func evaluate(_ pass: BatchPass, _ record: inout StepRecord, _: StepPosition) {
    let batch = pass.batch
    let whole = Float(1 / Double(max(1, record.labeledRows + record.unlabeledRows)))
    let (labeledScale, unlabeledScale) =
      method == .rce
      ? (whole, whole)
      : (
        Float(1 / Double(max(1, record.labeledRows))),
        Float(unlabeledWeight / Double(max(1, record.unlabeledRows)))
      )
    for shard in batch.labeledCounts.indices {
      let labeled = batch.logitBatch(batch.labeledRows(of: shard))
      let unlabeled = batch.logitBatch(batch.unlabeledRows(of: shard))
      pass.note(.labeled, of: shard, labeledLoss(labeled, labeledScale))
      pass.note(.unlabeled, of: shard, unlabeledLoss(unlabeled, unlabeledScale))
    }
  }

  private func labeledLoss(_ rows: LogitBatch, _ scale: Float) -> Double {
    method == .rce
      ? ReweightedCrossEntropy.evaluate(rows, power: power, scale: scale)
      : BinaryCrossEntropy.evaluate(rows, scale: scale)
  }

  private func unlabeledLoss(_ rows: LogitBatch, _ scale: Float) -> Double {
    switch method {
    case .rce: ReweightedCrossEntropy.evaluateAsNegatives(rows, power: power, scale: scale)
    case .negatives: BinaryCrossEntropy.evaluateAsNegatives(rows, scale: scale)
    default: InverseDualLoss.evaluate(rows, scale: scale)
    }
  }
}

/// `bpr`: mean over pairs of `softplus(−(y_ui − y_uj))`.
final class PairObjective: BatchObjective {
  private let group: any ProcessGroup

  init(group: any ProcessGroup) { self.group = group }

  var rows: StepRows { .pairs }

  /// - Complexity: one collective if there are several ranks.
  func evaluate(_ pass: BatchPass, _ record: inout StepRecord, _: StepPosition) throws {
    let batch = pass.batch
    let pairs = try total(batch.count - batch.labeledCounts.reduce(0, +))
    record.pairs = pairs
    let scale = Float(1 / Double(max(1, pairs)))
    for shard in batch.labeledCounts.indices {
      let (positives, unlabeled) = (batch.labeledRows(of: shard), batch.unlabeledRows(of: shard))
      let loss = unsafe BayesianPersonalizedRanking.evaluate(
        batch.logitBatch(positives), batch.logitBatch(unlabeled),
        partners: batch.partners.pointer + unlabeled.lowerBound, scale: scale)
      pass.note(.labeled, of: shard, loss)
      pass.note(.unlabeled, of: shard, 0)
    }
  }

  private func total(_ own: Int) throws -> Int {
    guard group.size > 1 else { return own }
    var pairs = Int64(own)
    unsafe try withUnsafeMutablePointer(to: &pairs) {
      unsafe try group.sum(UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    return Int(pairs)
  }
}
