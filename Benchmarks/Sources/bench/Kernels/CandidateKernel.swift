import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// The rows of a batch as they are and after the direct and the inverse virtual step.
  static func candidates(_ problem: BatchProblem) -> KernelCase {
    let count = problem.userSegments.segmentCount
    let stride = problem.layout.stride
    let direct = AlignedBuffer<Float>(count: count * stride)
    let unchanged = AlignedBuffer<Float>(count: count * stride)
    let inverse = AlignedBuffer<Float>(count: count * stride)
    let keys = problem.userSegments.segmentKeys
    return KernelCase(
      name: "candidates",
      work: KernelWork(
        rows: Double(count), bytes: Double(count) * 5 * problem.rowBytes,
        operations: Double(count * stride * 4)),
      updates: true
    ) {
      unsafe RowShift.candidates(
        .sign, shift: 1e-3, keys: keys.pointer, count: count,
        source: RowShift.Source(base: problem.users.row(0), index: keys.pointer),
        gradients: RowShift.Gradients(
          keys: keys.pointer, rows: problem.gradients.pointer, count: count),
        stride: stride, direct: direct.pointer, unchanged: unchanged.pointer,
        inverse: inverse.pointer)
    }
  }
}
