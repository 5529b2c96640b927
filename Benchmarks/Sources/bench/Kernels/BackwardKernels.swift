import Kernels
import Measuring

extension KernelCase {
  private static func input(_ problem: BatchProblem) -> WeightedProduct.BackwardInput {
    unsafe WeightedProduct.BackwardInput(
      scoreGradients: problem.scoreGradients.pointer, users: problem.userSide,
      items: problem.itemSide, dense: problem.dense.pointer, layout: problem.layout,
      runs: problem.runs)
  }

  /// The gradient of every user row and of the dense parameters.
  static func backwardUsers(_ problem: BatchProblem) -> KernelCase {
    let (rows, segments) = (Double(problem.batch), Double(problem.userSegments.segmentCount))
    let dense = AlignedBuffer<Float>(
      count: BatchProblem.shards * WeightedProduct.denseCount(problem.layout))
    let factors = Double(problem.layout.factors)
    return KernelCase(
      name: "backward users",
      // An item row per batch row; per user its row and its gradient.
      work: KernelWork(
        rows: rows, bytes: rows * (problem.rowBytes + 12) + segments * 2 * problem.rowBytes,
        operations: rows * 2 * factors + segments * 3 * factors)
    ) {
      unsafe WeightedProduct.backwardUsers(
        input(problem), segments: problem.userSegments, gradients: problem.gradients.pointer,
        denseGradients: dense.pointer)
    }
  }

  /// The gradient of every item row, summed along the tree.
  static func backwardItems(_ problem: BatchProblem) -> KernelCase {
    let (rows, segments) = (Double(problem.batch), Double(problem.itemSegments.segmentCount))
    let scratch = TreeScratch(stride: problem.layout.stride, shardCount: BatchProblem.shards)
    let partials = PartialRows(capacity: problem.batch, stride: problem.layout.stride)
    let factors = Double(problem.layout.factors)
    return KernelCase(
      name: "backward items",
      work: KernelWork(
        rows: rows, bytes: rows * (problem.rowBytes + 12) + segments * problem.rowBytes,
        operations: rows * 2 * factors + segments * factors)
    ) {
      WeightedProduct.backwardItems(
        input(problem), segments: problem.itemSegments, ordered: true, scratch: scratch,
        partials: partials)
    }
  }
}
