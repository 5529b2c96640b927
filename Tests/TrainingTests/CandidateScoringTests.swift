import Backbones
import Kernels
import Testing
import Training

/// One pass over a batch gives the bits of three forward passes over shifted copies of its rows.
@Suite struct CandidateScoringTests {
  /// Below, at and beyond whole blocks of 8, with every width that kernels are made for.
  static let factors = [1, 7, 8, 16, 20, 32, 33, 64, 100, 128]

  @Test(arguments: factors, [false, true])
  func scoresAreThoseOfShiftedCopies(factors: Int, hasBiases: Bool) {
    for count in [0, 1, 5, 40] {
      let batch = CandidateBatch(factors: factors, hasBiases: hasBiases, count: count)
      let (fused, copied) = (batch.fused(), batch.copied())
      for candidate in 0..<3 {
        #expect(fused[candidate].count == count && fused[candidate].allSatisfy(\.isFinite))
        #expect(
          fused[candidate].map(\.bitPattern) == copied[candidate].map(\.bitPattern),
          "\(count) rows, candidate \(candidate)")
      }
      // Candidates that did not differ would prove nothing.
      if count > 5 { #expect(fused[0] != fused[1] && fused[1] != fused[2]) }
    }
  }

  /// A batch that nothing moves has one score three times.
  @Test(arguments: factors, [false, true])
  func withoutShiftsAllCandidatesAreTheSame(factors: Int, hasBiases: Bool) {
    let batch = CandidateBatch(
      factors: factors, hasBiases: hasBiases, count: 40, isMoving: false)
    let fused = batch.fused()
    #expect(fused[0].map(\.bitPattern) == fused[1].map(\.bitPattern))
    #expect(fused[2].map(\.bitPattern) == fused[1].map(\.bitPattern))
  }

  /// Whole runs, one backbone with the pass and one without it.
  @Test(arguments: [1, 7, 8, 20, 33, 100], [false, true])
  func runsAreThoseOfTheGeneralPath(factors: Int, hasBiases: Bool) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(.ig) {
      $0.epochs = 1
      $0.factors = factors
      $0.biases = hasBiases
      $0.innerStep = hasBiases ? .gradient : .sign
      // Gradients are small where signs are not.
      $0.innerRate = hasBiases ? 1 : 0.02
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    var plain = run
    plain.backbone = { PlainFactorization(factors: factors, hasBiases: hasBiases) }
    for (ranks, placement) in [(1, Placement.shared), (3, .shared), (3, .sharded)] {
      let fused = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
      let copied = try plain.outcome(
        ranks: ranks, at: placement, as: "plain-\(ranks)-\(placement)")
      #expect(fused.differences(from: copied) == [], "\(ranks) ranks, \(placement)")
      let decisions = fused.result.decisions
      #expect(decisions.direct + decisions.inverse > 0)
    }
  }
}

/// A batch, and how far its rows move.
private final class CandidateBatch {
  private static let userCount = 7
  private static let itemCount = 11

  private let layout: RowLayout
  private let backbone: GeneralizedMatrixFactorization
  private let count: Int
  private let users: [[Float]]
  private let items: [[Float]]
  private let dense: [Float]
  private let userShifts: [[Float]]
  private let itemShifts: [[Float]]
  private let denseShift: [Float]
  private let userIndex: AlignedBuffer<UInt32>
  private let itemIndex: AlignedBuffer<UInt32>

  init(factors: Int, hasBiases: Bool, count: Int, isMoving: Bool = true) {
    var draws = Draws(seed: UInt64(1000 * factors + count))
    let layout = RowLayout(factors: factors, hasBias: hasBiases)
    self.layout = layout
    self.count = count
    backbone = GeneralizedMatrixFactorization(factors: factors, hasBiases: hasBiases)
    /// Values where parameters are, and zeros of either kind of padding.
    func values(_ length: Int, bias: Int, isMoving: Bool = true) -> [Float] {
      (0..<length).map { column in
        isMoving && (column < factors || column == bias) ? draws.float() : 0
      }
    }
    let bias = hasBiases ? layout.biasColumn : -1
    let width = WeightedProduct.denseCount(layout)
    users = (0..<Self.userCount).map { _ in values(layout.stride, bias: bias) }
    items = (0..<Self.itemCount).map { _ in values(layout.stride, bias: bias) }
    dense = values(width, bias: layout.stride)
    // Every third row stays where it is.
    userShifts = (0..<Self.userCount).map {
      values(layout.stride, bias: bias, isMoving: isMoving && $0 % 3 != 1)
    }
    itemShifts = (0..<Self.itemCount).map {
      values(layout.stride, bias: bias, isMoving: isMoving && $0 % 3 != 2)
    }
    denseShift = values(width, bias: layout.stride, isMoving: isMoving)
    userIndex = AlignedBuffer(count: count)
    itemIndex = AlignedBuffer(count: count)
    for row in 0..<count {
      unsafe userIndex.pointer[row] = UInt32(draws.integer(below: Self.userCount))
      unsafe itemIndex.pointer[row] = UInt32(draws.integer(below: Self.itemCount))
    }
  }

  /// Scores at `θ − s`, `θ` and `θ + s`, in one pass.
  func fused() -> [[Float]] {
    let (users, items) = (buffer(users.flatMap { $0 }), buffer(items.flatMap { $0 }))
    let (userShifts, itemShifts) = (
      buffer(userShifts.flatMap { $0 }), buffer(itemShifts.flatMap { $0 })
    )
    let (dense, denseShift) = (buffer(dense), buffer(denseShift))
    let segments = SegmentSort(capacity: count)
    unsafe segments.sort(userIndex.pointer, count: count, bound: Self.userCount)
    let userPlaces = unsafe AlignedBuffer<UnsafePointer<Float>>(count: Self.userCount)
    for segment in 0..<segments.segmentCount {
      unsafe userPlaces.pointer[segment] = unsafe UnsafePointer(
        userShifts.pointer + Int(segments.segmentKeys.pointer[segment]) * layout.stride)
    }
    let itemPlaces = unsafe AlignedBuffer<UnsafePointer<Float>>(count: count)
    for row in 0..<count {
      unsafe itemPlaces.pointer[row] = unsafe UnsafePointer(
        itemShifts.pointer + Int(itemIndex.pointer[row]) * layout.stride)
    }
    let scores = (0..<3).map { _ in AlignedBuffer<Float>(count: count) }
    return unsafe withExtendedLifetime(
      (users, items, userShifts, itemShifts, dense, denseShift, userPlaces, itemPlaces)
    ) {
      unsafe backbone.forwardCandidates(
        rows(), parameters(users, items, dense),
        BatchShifts(
          users: userPlaces.pointer, items: itemPlaces.pointer, dense: denseShift.pointer),
        userSegments: segments,
        into: CandidateScores(
          direct: scores[0].pointer, unchanged: scores[1].pointer, inverse: scores[2].pointer))
      return scores.map { unsafe Array($0.elements) }
    }
  }

  /// The same by three passes over copies that were shifted before.
  func copied() -> [[Float]] {
    [-1, 0, 1].map { sign in
      func shifted(_ values: [Float], _ shifts: [Float]) -> AlignedBuffer<Float> {
        buffer(
          zip(values, shifts).map { value, shift in
            sign < 0 ? value - shift : sign > 0 ? value + shift : value
          })
      }
      let users = shifted(users.flatMap { $0 }, userShifts.flatMap { $0 })
      let items = shifted(items.flatMap { $0 }, itemShifts.flatMap { $0 })
      let dense = shifted(dense, denseShift)
      let scores = AlignedBuffer<Float>(count: count)
      return withExtendedLifetime((users, items, dense, scores)) {
        unsafe backbone.forward(rows(), parameters(users, items, dense), into: scores.pointer)
        return unsafe Array(scores.elements)
      }
    }
  }

  private func parameters(
    _ users: AlignedBuffer<Float>, _ items: AlignedBuffer<Float>, _ dense: AlignedBuffer<Float>
  ) -> BatchParameters {
    unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: users.pointer, spacing: backbone.userLayout.stride, index: userIndex.pointer),
      items: WeightedProduct.Side(
        base: items.pointer, spacing: backbone.itemLayout.stride, index: itemIndex.pointer),
      dense: dense.pointer)
  }

  /// Scores do not ask which shard a row belongs to.
  private func rows() -> RowBatch {
    unsafe RowBatch(
      users: userIndex.pointer, items: itemIndex.pointer, count: count,
      runs: ShardRuns(
        starts: userIndex.pointer, shards: userIndex.pointer, blocks: userIndex.pointer,
        shardOfRow: UnsafeRawPointer(userIndex.pointer).assumingMemoryBound(to: UInt16.self),
        count: 0))
  }

  private func buffer(_ values: [Float]) -> AlignedBuffer<Float> {
    let buffer = AlignedBuffer<Float>(count: values.count)
    for (index, value) in values.enumerated() { unsafe buffer.pointer[index] = value }
    return buffer
  }
}
