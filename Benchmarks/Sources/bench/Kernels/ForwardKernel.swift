import Kernels
import Measuring

extension KernelCase {
  /// The scores of a batch.
  static func forward(_ problem: BatchProblem) -> KernelCase {
    let rows = Double(problem.batch)
    return KernelCase(
      name: "forward",
      work: KernelWork(
        rows: rows, bytes: rows * (2 * problem.rowBytes + 12),
        operations: rows * 3 * Double(problem.layout.factors))
    ) {
      unsafe WeightedProduct.forward(
        into: problem.scores.pointer, count: problem.batch, users: problem.userSide,
        items: problem.itemSide, dense: problem.dense.pointer, layout: problem.layout)
    }
  }
}
