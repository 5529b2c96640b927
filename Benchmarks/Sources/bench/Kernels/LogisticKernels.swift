import Kernels
import Measuring
import Objectives

extension KernelCase {
  /// The loss of labeled rows and its derivative.
  static func crossEntropy(_ problem: BatchProblem) -> KernelCase {
    KernelCase(name: "logistic bce", work: work(problem, operations: 45)) {
      _ = BinaryCrossEntropy.evaluate(batch(problem), scale: 1)
    }
  }

  /// The loss of unlabeled rows and its derivative.
  static func inverseDual(_ problem: BatchProblem) -> KernelCase {
    KernelCase(name: "logistic idl", work: work(problem, operations: 54)) {
      _ = InverseDualLoss.evaluate(batch(problem), scale: 1)
    }
  }

  private static func batch(_ problem: BatchProblem) -> LogitBatch {
    unsafe LogitBatch(
      logits: problem.scores.pointer, labels: problem.labels.pointer,
      gradients: problem.scoreGradients.pointer, count: problem.scores.count)
  }

  /// Operations are those of the polynomials, counted by hand.
  private static func work(_ problem: BatchProblem, operations: Double) -> KernelWork {
    KernelWork(
      rows: problem.rows, bytes: problem.rows * 12, operations: problem.rows * operations)
  }
}
