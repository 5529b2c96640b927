import Kernels
import Objectives
import Sharding
import Storage

/// One optimizer step on the labeled rows and, for `negatives` and `idl`, the unlabeled ones:
///
///     mean over L of BCE  +  λ · mean over U of BCE(·, 0) or IDL
package final class SupervisedRule: UpdateRule {
  private enum Figure: Int, CaseIterable { case labeledLoss, unlabeledLoss }

  private let configuration: TrainingConfiguration
  private let method: Method
  private let source: any RowSource
  private let pass: BatchPass
  private let clock: PhaseClock

  /// - Parameters:
  ///   - method: Of `configuration`, or `bce` for the plain steps of a schedule.
  ///   - configuration: The run's.
  ///   - model: The parameters.
  ///   - source: Where rows come from.
  ///   - context: Ranks and shards.
  package init(
    method: Method, configuration: TrainingConfiguration, model: Model, source: any RowSource,
    context: JobContext
  ) {
    self.configuration = configuration
    self.method = method
    self.source = source
    clock = context.clock
    pass = BatchPass(
      capacity: source.capacity(method == .bce ? .labeled : .joint),
      figureCount: Figure.allCases.count, model: model, context: context)
  }

  package func step(_ position: StepPosition, isStopRequested: Bool) throws -> StepRecord {
    let batch = pass.batch
    var record = StepRecord()
    record.labeledRows = source.labeledRows(in: position.step)
    source.load(batch, at: position, rows: method == .bce ? .labeled : .joint)
    if method != .bce {
      clock.lap(.sample)
      record.unlabeledRows = try source.totalUnlabeled(of: batch, in: position.step)
      clock.lap(.exchange)
    }
    pass.sort()
    let parameters = try pass.parameters()
    try pass.forward(parameters)
    evaluate(batch, record)
    clock.lap(.forward)
    try pass.backward(parameters)
    pass.reduction.note = isStopRequested ? 1 : 0
    try pass.reduction.reduce()
    clock.lap(.reduce)
    record.labeledLoss = pass.reduction.figure(Figure.labeledLoss.rawValue)
    record.unlabeledLoss = pass.reduction.figure(Figure.unlabeledLoss.rawValue)
    record.isStopRequested = pass.reduction.largestNote > 0
    try requireFinite(record.labeledLoss + record.unlabeledLoss, position)
    let steps = OptimizerSteps(configuration, position)
    if record.labeledRows > 0 { try pass.update(steps.rows, steps.dense) }
    return record
  }

  /// Derivatives and losses, shard by shard.
  private func evaluate(_ batch: StepBatch, _ record: StepRecord) {
    let labeledScale = Float(1 / Double(max(1, record.labeledRows)))
    let unlabeledScale = Float(
      configuration.unlabeledWeight / Double(max(1, record.unlabeledRows)))
    for shard in batch.labeledCounts.indices {
      let (start, labeled) = (batch.start(of: shard), batch.labeledCounts[shard])
      let figures = unsafe pass.reduction.figureLeaves.pointer + shard * Figure.allCases.count
      unsafe figures[Figure.labeledLoss.rawValue] = BinaryCrossEntropy.evaluate(
        batch.logitBatch(start..<start + labeled), scale: labeledScale)
      let unlabeled = batch.logitBatch(start + labeled..<batch.end(of: shard))
      unsafe figures[Figure.unlabeledLoss.rawValue] =
        method == .negatives
        ? BinaryCrossEntropy.evaluateAsNegatives(unlabeled, scale: unlabeledScale)
        : InverseDualLoss.evaluate(unlabeled, scale: unlabeledScale)
    }
  }
}

extension StepBatch {
  /// Some rows as an objective sees them.
  func logitBatch(_ rows: Range<Int>) -> LogitBatch {
    unsafe LogitBatch(
      logits: logits.pointer + rows.lowerBound, labels: labels.pointer + rows.lowerBound,
      gradients: gradients.pointer + rows.lowerBound, count: rows.count)
  }
}

/// The constants of one optimizer step.
struct OptimizerSteps {
  let rows: RowOptimizer.Step
  let dense: RowOptimizer.Step

  init(_ configuration: TrainingConfiguration, _ position: StepPosition) {
    func step(_ optimizer: RowOptimizer) -> RowOptimizer.Step {
      RowOptimizer.Step(
        optimizer, rate: configuration.rate, decay: configuration.weightDecay,
        number: position.number + 1)
    }
    rows = step(configuration.optimizer.row)
    dense = step(configuration.optimizer.dense)
  }
}

/// Stops the run at a loss that is not a finite number, on every rank alike.
func requireFinite(_ loss: Double, _ position: StepPosition) throws(Failure) {
  guard loss.isFinite else {
    throw .software(
      "the loss is not a finite number in epoch \(position.epoch + 1), step "
        + "\(position.step + 1); "
        + "lower --rate or --inner-rate")
  }
}
