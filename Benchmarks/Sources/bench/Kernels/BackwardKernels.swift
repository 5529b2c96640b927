import Kernels
import Measuring

extension KernelCase {
  private static func input(
    _ problem: BatchProblem, _ batch: Batch
  ) -> WeightedProduct.BackwardInput {
    unsafe WeightedProduct.BackwardInput(
      scoreGradients: problem.scoreGradients.pointer, users: problem.userSide(batch),
      items: problem.itemSide(batch), dense: problem.dense.pointer, layout: problem.layout,
      runs: batch.runs)
  }

  /// The gradient of every user row and of the dense parameters.
  static func backwardUsers(_ problem: BatchProblem) -> KernelCase {
    let (rows, users) = (problem.rows, problem.userRows)
    let dense = AlignedBuffer<Float>(
      count: Batch.shards * WeightedProduct.denseCount(problem.layout))
    let factors = Double(problem.layout.factors)
    return KernelCase(
      name: "backward users",
      // An item row per batch row; per user its row and its gradient.
      work: KernelWork(
        rows: rows, bytes: rows * (problem.rowBytes + 12) + users * 2 * problem.rowBytes,
        operations: rows * 2 * factors + users * 3 * factors)
    ) {
      let batch = problem.next()
      unsafe WeightedProduct.backwardUsers(
        input(problem, batch), segments: batch.userSegments,
        gradients: problem.gradients.pointer, denseGradients: dense.pointer)
    }
  }

  /// The gradient of every item row, summed along the tree.
  static func backwardItems(_ problem: BatchProblem) -> KernelCase {
    let (rows, items) = (problem.rows, problem.itemRows)
    let scratch = TreeScratch(stride: problem.layout.stride, shardCount: Batch.shards)
    let partials = PartialRows(capacity: problem.batches[0].count, stride: problem.layout.stride)
    let factors = Double(problem.layout.factors)
    return KernelCase(
      name: "backward items",
      work: KernelWork(
        rows: rows, bytes: rows * (problem.rowBytes + 12) + items * problem.rowBytes,
        operations: rows * 2 * factors + items * factors)
    ) {
      let batch = problem.next()
      WeightedProduct.backwardItems(
        input(problem, batch), segments: batch.itemSegments, ordered: true, scratch: scratch,
        partials: partials)
    }
  }
}
