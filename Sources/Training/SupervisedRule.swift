import Backbones
import Kernels
import Sharding
import Storage

/// One optimizer step on the rows of a batch, by what they cost.
///
/// The objectives are ``RowwiseObjective``, ``TruncatedObjective`` and ``PairObjective``; beside
/// each, if asked for, the decay of the rows that the batch reads.
package final class SupervisedRule: UpdateRule {
  private let configuration: TrainingConfiguration
  private let source: any RowSource
  private let objective: any BatchObjective
  private let pass: BatchPass
  private let decay: RowDecay?
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
    self.source = source
    clock = context.clock
    objective =
      switch method {
      case .tce:
        TruncatedObjective(
          configuration, capacity: source.capacity(.joint), group: context.group)
      case .bpr: PairObjective(group: context.group)
      case .bce, .negatives, .idl, .rce, .ig: RowwiseObjective(method, configuration)
      }
    let capacity = source.capacity(objective.rows)
    pass = BatchPass(
      capacity: capacity, sequences: source.sequences, figureCount: LossFigure.allCases.count,
      model: model, context: context)
    pass.reserve()
    decay = RowDecay(configuration, capacity: capacity)
  }

  package func step(_ position: StepPosition, isStopRequested: Bool) throws -> StepRecord {
    let batch = pass.batch
    var record = StepRecord()
    try clock.begin(.sample)
    try source.begin(epoch: position.epoch)
    record.labeledRows = source.labeledRows(in: position.step)
    source.load(batch, at: position, rows: objective.rows)
    if objective.rows == .joint {
      clock.lap(.sample)
      try clock.begin(.exchange)
      record.unlabeledRows = try source.totalUnlabeled(of: batch, in: position.step)
      clock.lap(.exchange)
      try clock.begin(.sample)
    }
    pass.sort()
    let parameters = try pass.parameters()
    try pass.forward(parameters)
    try objective.evaluate(pass, &record, position)
    pass.gradients.decay = decay.map { decay in
      record.pairs.map { decay.ofPairs(batch, terms: $0) }
        ?? decay.ofRows(batch, terms: record.labeledRows + record.unlabeledRows)
    }
    clock.lap(.forward)
    try pass.backward(parameters)
    pass.reduction.note = isStopRequested ? 1 : 0
    try clock.begin(.reduce)
    try pass.reduction.reduce()
    clock.lap(.reduce)
    record.labeledLoss = pass.loss(.labeled)
    record.unlabeledLoss = pass.loss(.unlabeled)
    record.isStopRequested = pass.reduction.largestNote > 0
    try requireFinite(record.labeledLoss + record.unlabeledLoss, position)
    let steps = OptimizerSteps(configuration, position)
    if record.lossTerms > 0 { try pass.update(steps.rows, steps.dense) }
    return record
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
