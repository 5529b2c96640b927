import Backbones
import Kernels
import Objectives
import Sharding

/// The labeled batch at the three candidates of an inverse gradient step: `θ − s`, `θ`, `θ + s`.
@safe
final class CandidatePass {
  /// Candidates, in the order of ``Decision``.
  static let count = 3

  /// For each candidate `(capacity)`: scores, then derivatives.
  let scores: [AlignedBuffer<Float>]
  private let gradients: [AlignedBuffer<Float>]
  private let scorer: (any CandidateScoring)?
  private let copies: CandidateCopies?

  /// Room for batches of `capacity` rows and `references` item references.
  init(capacity: Int, references: Int, model: Model) {
    scores = (0..<Self.count).map { _ in AlignedBuffer(count: capacity) }
    gradients = (0..<Self.count).map { _ in AlignedBuffer(count: capacity) }
    scorer = model.backbone as? any CandidateScoring
    copies =
      scorer == nil && model.propagation == nil
      ? CandidateCopies(capacity: capacity, references: references, model: model) : nil
  }

  /// Computes the labeled loss of each candidate, and keeps each one's derivatives.
  ///
  /// - Parameters:
  ///   - pass: The labeled batch.
  ///   - parameters: Its rows, not shifted.
  ///   - shifts: How far they move.
  ///   - scale: Of the derivatives.
  ///   - losses: `(S', 3)`: the losses of each shard, overwritten.
  /// - Throws: What an exchange inside a backbone throws.
  func judge(
    _ pass: BatchPass, _ parameters: BatchParameters, _ shifts: BatchShifts, scale: Float,
    losses: UnsafeMutablePointer<Double>
  ) throws {
    let batch = pass.batch
    let target = unsafe CandidateScores(
      direct: scores[0].pointer, unchanged: scores[1].pointer, inverse: scores[2].pointer)
    if let scorer {
      try scorer.forwardCandidates(
        batch.rows, parameters, shifts, userSegments: pass.gradients.userSegments, into: target)
    } else {
      try copies?.forward(pass, parameters, shifts, into: target)
    }
    unsafe evaluate(batch, scale: scale, losses: losses)
  }

  /// As ``judge(_:_:_:scale:losses:)`` for a backbone that propagates: the tables are shifted, and
  /// put back.
  ///
  /// - Parameters:
  ///   - pass: The labeled batch.
  ///   - tables: Keeps what is put back.
  ///   - unlabeled: Its gradients have become the shifts.
  ///   - scale: Of the derivatives.
  ///   - losses: `(S', 3)`: the losses of each shard, overwritten.
  /// - Returns: Where the rows of the batch are, not shifted.
  /// - Throws: What an exchange throws.
  func judge(
    _ pass: BatchPass, tables: TableCandidates, shiftedBy unlabeled: BatchPass, scale: Float,
    losses: UnsafeMutablePointer<Double>
  ) throws -> BatchParameters {
    tables.save()
    for decision in [Decision.direct, .inverse] {
      try unlabeled.shift(factor: decision.factor)
      try forward(pass, try pass.parameters(), decision)
      tables.restore()
    }
    let parameters = try pass.parameters()
    try forward(pass, parameters, .none)
    unsafe evaluate(pass.batch, scale: scale, losses: losses)
    return parameters
  }

  private func forward(
    _ pass: BatchPass, _ parameters: BatchParameters, _ decision: Decision
  ) throws {
    try pass.forward(parameters)
    unsafe scores[decision.rawValue].pointer.update(
      from: pass.batch.logits.pointer, count: pass.batch.count)
  }

  /// Turns scores into losses and derivatives.
  private func evaluate(
    _ batch: StepBatch, scale: Float, losses: UnsafeMutablePointer<Double>
  ) {
    for candidate in 0..<Self.count {
      for shard in batch.labeledCounts.indices {
        let start = batch.start(of: shard)
        unsafe losses[shard * Self.count + candidate] = BinaryCrossEntropy.evaluate(
          LogitBatch(
            logits: scores[candidate].pointer + start, labels: batch.labels.pointer + start,
            gradients: gradients[candidate].pointer + start, count: batch.end(of: shard) - start),
          scale: scale)
      }
    }
  }

  /// Hands over the derivatives at the candidate that won.
  func writeGradients(of decision: Decision, to batch: StepBatch) {
    unsafe batch.gradients.pointer.update(
      from: gradients[decision.rawValue].pointer, count: batch.count)
  }
}

/// Shifted copies of the rows of a batch, for backbones that know nothing of candidates.
@safe
private final class CandidateCopies {
  private let model: Model
  private let users: [AlignedBuffer<Float>]
  private let items: [AlignedBuffer<Float>]
  private let dense: [AlignedBuffer<Float>]

  init(capacity: Int, references: Int, model: Model) {
    self.model = model
    func buffers(_ count: Int) -> [AlignedBuffer<Float>] {
      (0..<CandidatePass.count).map { _ in AlignedBuffer(count: count) }
    }
    users = buffers(capacity * model.users.stride)
    items = buffers(references * model.items.stride)
    dense = buffers(model.dense.stride)
  }

  func forward(
    _ pass: BatchPass, _ parameters: BatchParameters, _ shifts: BatchShifts,
    into scores: CandidateScores
  ) throws {
    let groups = (pass.gradients.userSegments, pass.gradients.itemSegments)
    for segment in 0..<groups.0.segmentCount {
      unsafe copy(
        parameters.users, groups.0, segment, shifts.users[segment], to: users,
        stride: model.users.stride)
    }
    for segment in 0..<groups.1.segmentCount {
      let first = unsafe Int(groups.1.order.pointer[Int(groups.1.segmentStarts.pointer[segment])])
      unsafe copy(
        parameters.items, groups.1, segment, shifts.items[first], to: items,
        stride: model.items.stride)
    }
    unsafe RowShift.candidates(
      of: parameters.dense, shift: shifts.dense, count: model.dense.stride,
      direct: dense[0].pointer, unchanged: dense[1].pointer, inverse: dense[2].pointer)
    unsafe try model.backbone.forward(pass.batch.rows, copies(0, pass), into: scores.direct)
    unsafe try model.backbone.forward(pass.batch.rows, copies(1, pass), into: scores.unchanged)
    unsafe try model.backbone.forward(pass.batch.rows, copies(2, pass), into: scores.inverse)
  }

  private func copies(_ candidate: Int, _ pass: BatchPass) -> BatchParameters {
    unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: users[candidate].pointer, spacing: model.users.stride,
        index: pass.gradients.userSegments.segmentOfPosition),
      items: WeightedProduct.Side(
        base: items[candidate].pointer, spacing: model.items.stride,
        index: pass.gradients.itemSegments.segmentOfPosition),
      dense: dense[candidate].pointer)
  }

  private func copy(
    _ side: WeightedProduct.Side, _ segments: SegmentSort, _ segment: Int,
    _ shift: UnsafePointer<Float>, to targets: [AlignedBuffer<Float>], stride: Int
  ) {
    let first = unsafe Int(segments.order.pointer[Int(segments.segmentStarts.pointer[segment])])
    let row = unsafe side.base + Int(side.index[first]) * side.spacing
    unsafe RowShift.candidates(
      of: row, shift: shift, count: stride, direct: targets[0].pointer + segment * stride,
      unchanged: targets[1].pointer + segment * stride,
      inverse: targets[2].pointer + segment * stride)
  }
}
