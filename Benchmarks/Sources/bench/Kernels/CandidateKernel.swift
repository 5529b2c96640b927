import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// The users of a batch as they are and after the direct and the inverse virtual step.
  static func candidates(_ problem: BatchProblem) -> KernelCase {
    let stride = problem.layout.stride
    let capacity = problem.batches[0].count * stride
    let direct = AlignedBuffer<Float>(count: capacity)
    let unchanged = AlignedBuffer<Float>(count: capacity)
    let inverse = AlignedBuffer<Float>(count: capacity)
    return KernelCase(
      name: "candidates",
      work: KernelWork(
        rows: problem.userRows, bytes: problem.userRows * 5 * problem.rowBytes,
        operations: problem.userRows * Double(4 * stride)),
      updates: true
    ) {
      let segments = problem.next().userSegments
      let keys = unsafe segments.segmentKeys.pointer
      unsafe RowShift.candidates(
        .sign, shift: 1e-3, keys: keys, count: segments.segmentCount,
        source: RowShift.Source(base: problem.users.row(0), index: keys),
        gradients: RowShift.Gradients(
          keys: keys, rows: problem.gradients.pointer, count: segments.segmentCount),
        stride: stride, direct: direct.pointer, unchanged: unchanged.pointer,
        inverse: inverse.pointer)
    }
  }
}
