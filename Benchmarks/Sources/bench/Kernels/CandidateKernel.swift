import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// The scores of a batch as it is and after the direct and the inverse virtual step.
  static func candidates(_ problem: BatchProblem) -> KernelCase {
    let shifts = ShiftProblem(problem)
    // Two rows and their shifts are read for each row of the batch; three scores of 3 operations
    // per factor, and four to move both rows both ways.
    return KernelCase(
      name: "candidates",
      work: KernelWork(
        rows: problem.rows, bytes: problem.rows * (4 * problem.rowBytes + 12),
        operations: problem.rows * 13 * Double(problem.layout.factors))
    ) {
      let batch = problem.next()
      unsafe WeightedProduct.forwardCandidates(
        into: shifts.scores, users: problem.userSide(batch), items: problem.itemSide(batch),
        dense: problem.dense.pointer, shifts: shifts.shifts, segments: batch.userSegments,
        layout: problem.layout, scratch: shifts.scratch.pointer)
    }
  }
}

/// Shifts for every row of a batch, and room for the scores.
///
/// It owns the buffers whose pointers it passes on, so its use is safe.
@safe
private final class ShiftProblem {
  let scratch: AlignedBuffer<Float>
  private let places: AlignedBuffer<UnsafePointer<Float>>
  private let dense: AlignedBuffer<Float>
  private let direct: AlignedBuffer<Float>
  private let unchanged: AlignedBuffer<Float>
  private let inverse: AlignedBuffer<Float>
  private let problem: BatchProblem

  init(_ problem: BatchProblem) {
    self.problem = problem
    let rows = problem.batches[0].count
    let width = WeightedProduct.denseCount(problem.layout)
    scratch = AlignedBuffer(count: 6 * width)
    unsafe places = unsafe AlignedBuffer(count: rows)
    dense = AlignedBuffer(count: width)
    direct = AlignedBuffer(count: rows)
    unchanged = AlignedBuffer(count: rows)
    inverse = AlignedBuffer(count: rows)
    for row in 0..<rows {
      unsafe places.pointer[row] = unsafe UnsafePointer(
        problem.gradients.pointer + row * problem.layout.stride)
    }
  }

  var scores: CandidateScores {
    unsafe CandidateScores(
      direct: direct.pointer, unchanged: unchanged.pointer, inverse: inverse.pointer)
  }

  var shifts: BatchShifts {
    unsafe BatchShifts(users: places.pointer, items: places.pointer, dense: dense.pointer)
  }
}
