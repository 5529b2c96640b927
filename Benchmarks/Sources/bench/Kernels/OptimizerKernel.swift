import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// The optimizers, with the moments that each keeps beside every weight.
  static let optimizers: [(name: String, optimizer: RowOptimizer, moments: Double)] = [
    ("sgd", .gradientDescent, 0), ("adagrad", .adagrad, 1),
    ("rowwise adagrad", .rowwiseAdagrad, 0), ("adam", .adam, 2),
  ]

  /// One step of an optimizer on the users of a batch; rows are those of the table it touches.
  static func optimizer(
    _ name: String, _ optimizer: RowOptimizer, moments: Double, _ problem: BatchProblem
  ) -> KernelCase {
    let (rows, factors) = (problem.userRows, Double(problem.layout.factors))
    let step = RowOptimizer.Step(optimizer, rate: 1e-4, decay: 1e-6, number: 1000)
    return KernelCase(
      name: "update \(name)",
      // Gradient and key are read; weights, moments and the number of the last step are read and
      // written. About 4 operations for the weight and 5 for each moment.
      work: KernelWork(
        rows: rows, bytes: rows * (problem.rowBytes * (3 + 2 * moments) + 12),
        operations: rows * factors * (4 + 5 * moments)),
      updates: true
    ) {
      let segments = problem.next().userSegments
      unsafe problem.users.update(
        step, index: segments.segmentKeys.pointer, count: segments.segmentCount,
        gradients: problem.gradients.pointer)
    }
  }
}
