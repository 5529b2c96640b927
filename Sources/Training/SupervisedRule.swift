import Backbones
import Kernels
import Sharding

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
  private let numbers: NumericalGuard

  /// - Parameters:
  ///   - method: Of `configuration`, or `bce` for the plain steps of a schedule.
  ///   - configuration: The run's.
  ///   - model: The parameters.
  ///   - source: Where rows come from.
  ///   - context: Ranks and shards.
  ///   - numbers: Of the run; without it the rule has one of its own.
  package init(
    method: Method, configuration: TrainingConfiguration, model: Model, source: any RowSource,
    context: JobContext, numbers: NumericalGuard? = nil
  ) {
    self.numbers = numbers ?? NumericalGuard(configuration, model: model, context: context)
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
    let steps = OptimizerSteps(configuration, position)
    pass.reduction.note = numbers.note(
      isStopRequested: isStopRequested, isFinite: numbers.canUpdate(pass, steps))
    try clock.begin(.reduce)
    try pass.reduction.reduce()
    clock.lap(.reduce)
    record.labeledLoss = pass.loss(.labeled)
    record.unlabeledLoss = pass.loss(.unlabeled)
    record.isStopRequested = numbers.isStopRequested(pass.reduction.largestNote)
    let isAccepted = try numbers.accepts(
      pass.reduction.largestNote, loss: record.labeledLoss + record.unlabeledLoss, position,
      suspects: suspects)
    guard isAccepted, numbers.canUpdateDense(pass, steps) else {
      return try numbers.skipped(record, position, suspects)
    }
    if record.lossTerms > 0 {
      numbers.observe(try pass.update(steps.rows, steps.dense), position)
    }
    return record
  }

  private var suspects: [NonfiniteSearch.Suspect] {
    [.scores(pass, pass.batch.logits), .gradients(pass)]
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
