import Backbones
import Kernels
import Objectives
import Sharding

/// The inverse gradient: a virtual step along the unlabeled rows' gradient, forwards, not at all
/// or backwards, whichever the labeled rows like best; then an optimizer step from there.
///
///     g = ∇ mean_U IDL      θ* ∈ {θ − α d(g), θ, θ + α d(g)} with the least BCE over L
///     θ ← optimizer step with ∇ BCE_L(θ*) from θ*
///
/// Lin et al., WSDM 2024, section 4.2. Only rows touched by U and dense parameters differ between
/// the candidates, so a step costs O(batch). One decision is taken for the whole job.
@safe
package final class InverseGradientRule: UpdateRule {
  private let configuration: TrainingConfiguration
  private let model: Model
  private let source: any RowSource
  private let context: JobContext
  private let unlabeled: BatchPass
  private let labeled: BatchPass
  /// Spreads the virtual gradient to replicas, or fetches rows with their virtual gradient.
  private let exchange: RowExchange
  private let candidates: [Candidate]
  /// Three losses, no gradients.
  private let verdict: DenseReduction
  private let fetchedRows = ScratchBuffer<Float>()
  private let fetchedGradients = ScratchBuffer<Float>()

  /// - Parameters:
  ///   - configuration: The run's.
  ///   - model: The parameters.
  ///   - source: Where rows come from.
  ///   - context: Ranks and shards.
  package init(
    configuration: TrainingConfiguration, model: Model, source: any RowSource, context: JobContext
  ) {
    self.configuration = configuration
    self.model = model
    self.source = source
    self.context = context
    unlabeled = BatchPass(
      capacity: source.capacity(.unlabeled), figureCount: 1, model: model, context: context)
    labeled = BatchPass(
      capacity: source.capacity(.labeled), figureCount: 0, model: model, context: context)
    exchange = context.makeExchange(model)
    candidates = (0..<3).map { _ in
      Candidate(capacity: source.capacity(.labeled), model: model)
    }
    verdict = DenseReduction(
      group: context.group, tree: context.tree, width: 0, figureCount: 3, ordered: true)
  }

  package func step(_ position: StepPosition, isStopRequested: Bool) throws -> StepRecord {
    var record = StepRecord()
    record.labeledRows = source.labeledRows(in: position.step)
    source.load(labeled.batch, at: position, rows: .labeled)
    source.load(unlabeled.batch, at: position, rows: .unlabeled)
    record.unlabeledRows = try source.totalUnlabeled(of: unlabeled.batch, in: position.step)

    let virtual = try virtualGradient(&record, position)
    labeled.sort()
    try writeCandidates(virtual)
    try judge(record)
    let losses = (0..<candidates.count).map { verdict.figure($0) }
    for loss in losses { try requireFinite(loss, position) }
    let decision = Decision(direct: losses[0], none: losses[1], inverse: losses[2])
    record.decision = decision
    record.labeledLoss = losses[1]

    // The backward pass reads the winner's rows, so it comes before any table changes.
    let winner = candidates[decision.rawValue]
    if model.backbone.keepsIntermediates { try labeled.forward(winner.parameters(labeled)) }
    unsafe labeled.batch.gradients.pointer.update(
      from: winner.gradients.pointer, count: labeled.batch.count)
    try labeled.backward(winner.parameters(labeled))
    labeled.reduction.note = isStopRequested ? 1 : 0
    try labeled.reduction.reduce()
    record.isStopRequested = labeled.reduction.largestNote > 0
    commit(decision, virtual)
    let steps = OptimizerSteps(configuration, position)
    if record.labeledRows > 0 { try labeled.update(steps.rows, steps.dense) }
    return record
  }

  /// `g` of the unlabeled rows: users' part here, items' part with the owners and, when tables are
  /// replicated, with everybody.
  private func virtualGradient(
    _ record: inout StepRecord, _ position: StepPosition
  ) throws -> KeyedRows {
    let batch = unlabeled.batch
    unlabeled.sort()
    let parameters = try unlabeled.parameters()
    try unlabeled.forward(parameters)
    let scale = Float(1 / Double(max(1, record.unlabeledRows)))
    for shard in batch.labeledCounts.indices {
      unsafe unlabeled.reduction.figureLeaves.pointer[shard] = InverseDualLoss.evaluate(
        batch.logitBatch(batch.start(of: shard)..<batch.end(of: shard)), scale: scale)
    }
    try unlabeled.backward(parameters)
    try unlabeled.reduction.reduce()
    record.unlabeledLoss = unlabeled.reduction.figure(0)
    try requireFinite(record.unlabeledLoss, position)
    return context.isSharded ? unlabeled.itemSums : try exchange.spread(unlabeled.itemSums)
  }

  /// Writes the labeled batch's rows at the three candidates.
  private func writeCandidates(_ virtual: KeyedRows) throws {
    let (direction, shift) = (configuration.innerStep, Float(configuration.innerRate))
    let (direct, none, inverse) = (candidates[0], candidates[1], candidates[2])
    unsafe RowShift.candidates(
      direction, shift: shift, keys: labeled.userKeys, count: labeled.userKeyCount,
      source: RowShift.Source(base: model.users.weights.pointer, index: labeled.userKeys),
      gradients: RowShift.Gradients(
        keys: unlabeled.userKeys, rows: unlabeled.gradients.userRows.pointer,
        count: unlabeled.userKeyCount),
      stride: model.users.stride, direct: direct.users.pointer, unchanged: none.users.pointer,
      inverse: inverse.users.pointer)
    let rows: RowShift.Source
    let gradients: RowShift.Gradients
    if context.isSharded {
      let size = labeled.itemKeyCount * model.items.stride
      let fetched = unsafe fetchedRows.reserve(size)
      let rowGradients = unsafe fetchedGradients.reserve(size)
      unsafe try exchange.fetch(
        keys: labeled.itemKeys, count: labeled.itemKeyCount, from: model.items,
        companion: virtual, into: fetched, companionTarget: rowGradients)
      rows = unsafe RowShift.Source(base: fetched, index: nil)
      gradients = unsafe RowShift.Gradients(
        keys: labeled.itemKeys, rows: rowGradients, count: labeled.itemKeyCount)
    } else {
      rows = unsafe RowShift.Source(base: model.items.weights.pointer, index: labeled.itemKeys)
      gradients = unsafe RowShift.Gradients(
        keys: virtual.keys, rows: virtual.rows, count: virtual.count)
    }
    unsafe RowShift.candidates(
      direction, shift: shift, keys: labeled.itemKeys, count: labeled.itemKeyCount,
      source: rows, gradients: gradients, stride: model.items.stride,
      direct: direct.items.pointer, unchanged: none.items.pointer,
      inverse: inverse.items.pointer)
    let denseKey = unsafe model.denseKey
    unsafe RowShift.candidates(
      direction, shift: shift, keys: denseKey, count: 1,
      source: RowShift.Source(base: model.dense.weights.pointer, index: nil),
      gradients: RowShift.Gradients(keys: denseKey, rows: unlabeled.reduction.sum, count: 1),
      stride: model.dense.stride, direct: direct.dense.pointer, unchanged: none.dense.pointer,
      inverse: inverse.dense.pointer)
  }

  /// The labeled loss of each candidate over the whole job; keeps each one's derivatives.
  private func judge(_ record: StepRecord) throws {
    let batch = labeled.batch
    let scale = Float(1 / Double(max(1, record.labeledRows)))
    for (index, candidate) in candidates.enumerated() {
      try labeled.forward(candidate.parameters(labeled))
      for shard in batch.labeledCounts.indices {
        let rows = batch.start(of: shard)..<batch.end(of: shard)
        unsafe verdict.figureLeaves.pointer[shard * 3 + index] = BinaryCrossEntropy.evaluate(
          batch.logitBatch(rows), scale: scale)
      }
      unsafe candidate.gradients.pointer.update(from: batch.gradients.pointer, count: batch.count)
    }
    try verdict.reduce()
  }

  /// Keeps the winning virtual step.
  private func commit(_ decision: Decision, _ virtual: KeyedRows) {
    guard decision != .none else { return }
    let shift = decision.factor * Float(configuration.innerRate)
    let direction = configuration.innerStep
    unsafe model.users.shift(
      direction, by: shift, index: unlabeled.userKeys, count: unlabeled.userKeyCount,
      gradients: unlabeled.gradients.userRows.pointer)
    unsafe model.items.shift(
      direction, by: shift, index: virtual.keys, count: virtual.count, gradients: virtual.rows)
    unsafe model.dense.shift(
      direction, by: shift, index: model.denseKey, count: 1, gradients: unlabeled.reduction.sum)
  }
}

/// The rows of the labeled batch at one candidate, and the derivatives there.
@safe
private final class Candidate {
  let users: AlignedBuffer<Float>
  let items: AlignedBuffer<Float>
  let dense: AlignedBuffer<Float>
  let gradients: AlignedBuffer<Float>

  init(capacity: Int, model: Model) {
    users = AlignedBuffer(count: capacity * model.users.stride)
    items = AlignedBuffer(
      count: capacity * model.backbone.itemReferencesPerRow * model.items.stride)
    dense = AlignedBuffer(count: model.dense.stride)
    gradients = AlignedBuffer(count: capacity)
  }

  func parameters(_ pass: BatchPass) -> BatchParameters {
    unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: users.pointer, index: pass.gradients.userSegments.segmentOfPosition.pointer),
      items: WeightedProduct.Side(
        base: items.pointer, index: pass.gradients.itemSegments.segmentOfPosition.pointer),
      dense: dense.pointer)
  }
}
