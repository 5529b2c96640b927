import Backbones
import Kernels
import Objectives
import Sharding

/// The inverse gradient: a virtual step along the unlabeled rows' gradient, forwards, not at all
/// or backwards, whichever the labeled rows like best; then an optimizer step from there.
///
///     g = ∇ mean_U IDL      θ* ∈ {θ − α d(g), θ, θ + α d(g)} with the least BCE over L
///     θ ← optimizer step with ∇ BCE_L(θ*) and the decay of L's rows from θ*
///
/// Lin et al., WSDM 2024, section 4.2. Only rows touched by U and dense parameters differ between
/// the candidates, so a step costs O(batch). One decision is taken for the whole job.
@safe
package final class InverseGradientRule: UpdateRule {
  private let configuration: TrainingConfiguration
  private let model: Model
  private let source: any RowSource
  private let clock: PhaseClock
  private let unlabeled: BatchPass
  private let labeled: BatchPass
  /// Of the rows of the labeled batch.
  private let decay: RowDecay?
  private let shifts: VirtualShifts
  private let candidates: CandidatePass
  /// Of a backbone that propagates, whose candidates are whole tables.
  private let tables: TableCandidates?
  /// Three losses, no gradients.
  private let verdict: DenseReduction
  private let numbers: NumericalGuard
  /// Where steps are left out.
  private let copies: ParameterCopies?

  /// - Parameters:
  ///   - configuration: The run's.
  ///   - model: The parameters.
  ///   - source: Where rows come from.
  ///   - context: Ranks and shards.
  ///   - numbers: Of the run; without it the rule has one of its own.
  package init(
    configuration: TrainingConfiguration, model: Model, source: any RowSource,
    context: JobContext, numbers: NumericalGuard? = nil
  ) {
    let numbers = numbers ?? NumericalGuard(configuration, model: model, context: context)
    self.numbers = numbers
    copies = numbers.keepsParameters ? ParameterCopies(model: model) : nil
    self.configuration = configuration
    self.model = model
    self.source = source
    clock = context.clock
    unlabeled = BatchPass(
      capacity: source.capacity(.unlabeled), sequences: source.sequences, figureCount: 1,
      model: model, context: context)
    labeled = BatchPass(
      capacity: source.capacity(.labeled), sequences: source.sequences, figureCount: 0,
      model: model, context: context)
    decay = RowDecay(configuration, capacity: source.capacity(.labeled))
    let rows = source.capacity(.labeled)
    let references = rows + (source.sequences?.places ?? 0)
    shifts = VirtualShifts(capacity: rows, references: references, model: model)
    candidates = CandidatePass(capacity: rows, references: references, model: model)
    tables = model.propagation == nil ? nil : TableCandidates(model: model)
    verdict = DenseReduction(
      group: context.group, tree: context.tree, width: 0,
      figureCount: CandidatePass.count, ordered: true)
    unlabeled.reserve()
    labeled.reserve()
  }

  package func step(_ position: StepPosition, isStopRequested: Bool) throws -> StepRecord {
    var record = StepRecord()
    try clock.begin(.sample)
    try source.begin(epoch: position.epoch)
    record.labeledRows = source.labeledRows(in: position.step)
    source.load(labeled.batch, at: position, rows: .labeled)
    source.load(unlabeled.batch, at: position, rows: .unlabeled)
    clock.lap(.sample)
    try clock.begin(.exchange)
    record.unlabeledRows = try source.totalUnlabeled(of: unlabeled.batch, in: position.step)
    clock.lap(.exchange)
    try clock.begin(.sample)
    unlabeled.sort()
    labeled.sort()

    guard try findGradient(&record, position, isStopRequested: isStopRequested) else {
      return try numbers.skipped(record, position, suspects(unlabeled))
    }
    try clock.begin(.update)
    let turned = turnGradient()
    let virtual = try unlabeled.spreadItemSums()
    let scale = Float(1 / Double(max(1, record.labeledRows)))
    var parameters = try judge(virtual, scale: scale)
    clock.lap(.forward)
    verdict.note = numbers.note(isFinite: turned)
    try clock.begin(.reduce)
    try verdict.reduce()
    clock.lap(.reduce)
    let losses = (verdict.figure(0), verdict.figure(1), verdict.figure(2))
    let isJudged = try numbers.accepts(
      verdict.largestNote, loss: losses.0 + losses.1 + losses.2, position,
      suspects: candidateSuspects)
    guard isJudged else { return try numbers.skipped(record, position, candidateSuspects) }
    let decision = Decision(direct: losses.0, none: losses.1, inverse: losses.2)
    record.decision = decision
    record.labeledLoss = losses.1

    let isCommitted = try commit(decision, position)
    if model.propagation != nil { parameters = try labeled.parameters() }
    try clock.begin(.forward)
    if model.backbone.keepsIntermediates { try labeled.forward(parameters) }
    candidates.writeGradients(of: decision, to: labeled.batch)
    labeled.gradients.decay = decay?.ofRows(labeled.batch, terms: record.labeledRows)
    clock.lap(.forward)
    try labeled.backward(parameters)
    let steps = OptimizerSteps(configuration, position)
    labeled.reduction.note = numbers.note(
      isStopRequested: isStopRequested,
      isFinite: isCommitted && numbers.canUpdate(labeled, steps))
    try clock.begin(.reduce)
    try labeled.reduction.reduce()
    clock.lap(.reduce)
    record.isStopRequested =
      record.isStopRequested || numbers.isStopRequested(labeled.reduction.largestNote)
    let isAccepted = try numbers.accepts(
      labeled.reduction.largestNote, loss: 0, position, suspects: suspects(labeled))
    guard isAccepted, numbers.canUpdateDense(labeled, steps) else {
      try takeBack(decision)
      return try numbers.skipped(record, position, suspects(labeled))
    }
    if record.labeledRows > 0 {
      numbers.observe(try labeled.update(steps.rows, steps.dense), position)
    }
    return record
  }

  private func suspects(_ pass: BatchPass) -> [NonfiniteSearch.Suspect] {
    [.scores(pass, pass.batch.logits), .gradients(pass)]
  }

  private var candidateSuspects: [NonfiniteSearch.Suspect] {
    [.gradients(unlabeled)] + candidates.scores.map { .scores(labeled, $0) }
  }

  /// Computes `g`, the gradient of the unlabeled rows.
  ///
  /// - Returns: Whether the step may go on.
  private func findGradient(
    _ record: inout StepRecord, _ position: StepPosition, isStopRequested: Bool
  ) throws -> Bool {
    let batch = unlabeled.batch
    let parameters = try unlabeled.parameters()
    try unlabeled.forward(parameters)
    let scale = Float(1 / Double(max(1, record.unlabeledRows)))
    for shard in batch.labeledCounts.indices {
      unsafe unlabeled.reduction.figureLeaves.pointer[shard] = InverseDualLoss.evaluate(
        batch.logitBatch(batch.start(of: shard)..<batch.end(of: shard)), scale: scale)
    }
    clock.lap(.forward)
    try unlabeled.backward(parameters)
    try clock.begin(.reduce)
    unlabeled.reduction.note = numbers.note(isStopRequested: isStopRequested)
    try unlabeled.reduction.reduce()
    clock.lap(.reduce)
    record.unlabeledLoss = unlabeled.reduction.figure(0)
    record.isStopRequested = numbers.isStopRequested(unlabeled.reduction.largestNote)
    return try numbers.accepts(
      unlabeled.reduction.largestNote, loss: record.unlabeledLoss, position,
      suspects: suspects(unlabeled))
  }

  /// Turns `g` into `α d(g)`: users' part here, items' part with the owners.
  ///
  /// - Returns: Whether what this rank has of it is finite.
  private func turnGradient() -> Bool {
    let (users, items) = (unlabeled.userSums, unlabeled.itemSums)
    let parts = unsafe (
      turn(users.rows, users.count * model.users.stride),
      turn(items.rows, items.count * model.items.stride),
      turn(unlabeled.reduction.sum, model.dense.stride)
    )
    clock.lap(.update)
    return parts.0 && parts.1 && parts.2
  }

  /// Scores the labeled rows at the three candidates.
  ///
  /// - Returns: Where the rows are, not shifted.
  private func judge(_ virtual: [KeyedRows], scale: Float) throws -> BatchParameters {
    let losses = unsafe verdict.figureLeaves.pointer
    if let tables {
      try clock.begin(.forward)
      return unsafe try candidates.judge(
        labeled, tables: tables, shiftedBy: unlabeled, scale: scale, losses: losses)
    }
    let (parameters, itemShifts) = unsafe try labeled.parameters(shifts: unlabeled.itemSums)
    try clock.begin(.forward)
    let batchShifts = unsafe shifts.find(
      for: labeled, userShifts: unlabeled, itemShifts: virtual, fetched: itemShifts)
    unsafe try candidates.judge(
      labeled, parameters, batchShifts, scale: scale, losses: losses)
    return parameters
  }

  private func turn(_ gradients: UnsafeMutablePointer<Float>, _ count: Int) -> Bool {
    unsafe RowShift.turn(
      configuration.innerStep, rate: Float(configuration.innerRate), values: gradients,
      count: count)
  }

  /// Keeps the winning virtual step.
  ///
  /// - Returns: Whether what this rank has shifted is finite.
  private func commit(_ decision: Decision, _ position: StepPosition) throws -> Bool {
    guard decision != .none else { return true }
    if let tables, copies != nil {
      tables.save()
    } else if let copies {
      unlabeled.keepParameters(in: copies)
    }
    try clock.begin(.update)
    let isFinite = try unlabeled.shift(factor: decision.factor)
    if copies == nil { numbers.observe(isFinite, position) }
    labeled.shiftFetched(factor: decision.factor)
    try unlabeled.settle()
    return isFinite
  }

  /// Undoes ``commit(_:_:)``, when all ranks have read what they needed.
  private func takeBack(_ decision: Decision) throws {
    guard decision != .none, let copies else { return }
    if let tables { return tables.restore() }
    try unlabeled.restoreParameters(from: copies)
    try unlabeled.settle()
  }
}
