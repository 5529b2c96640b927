import Kernels
import Measuring

extension KernelCase {
  /// The scores of a batch.
  static func forward(_ problem: BatchProblem) -> KernelCase {
    KernelCase(
      name: "forward",
      work: KernelWork(
        rows: problem.rows, bytes: problem.rows * (2 * problem.rowBytes + 12),
        operations: problem.rows * 3 * Double(problem.layout.factors))
    ) {
      let batch = problem.next()
      unsafe WeightedProduct.forward(
        into: problem.scores.pointer, count: batch.count, users: problem.userSide(batch),
        items: problem.itemSide(batch), dense: problem.dense.pointer, layout: problem.layout)
    }
  }
}
