import Foundation
import Kernels
import Objectives

/// The unit roundoff of `Float`: the largest relative error of one correctly rounded operation.
let roundoff = 0x1p-24

/// An objective over a batch, as the training loop calls it.
typealias Objective = @Sendable (LogitBatch, Float) -> Double

let objectives: [(name: String, evaluate: Objective)] = [
  ("bce", { BinaryCrossEntropy.evaluate($0, scale: $1) }),
  ("negatives", { BinaryCrossEntropy.evaluateAsNegatives($0, scale: $1) }),
  ("idl", { InverseDualLoss.evaluate($0, scale: $1) }),
  ("r-ce", { ReweightedCrossEntropy.evaluate($0, power: 0.25, scale: $1) }),
  ("r-ce negatives", { ReweightedCrossEntropy.evaluateAsNegatives($0, power: 0.7, scale: $1) }),
]

/// Runs an objective; NaN in the output shows a row that was not written.
func evaluate(
  _ objective: Objective, _ logits: [Float], labels: [Float]? = nil, scale: Float = 1
) -> (sum: Double, gradients: [Float]) {
  let count = logits.count
  let labels = labels ?? [Float](repeating: 0, count: count)
  let buffers = (0..<3).map { _ in AlignedBuffer<Float>(count: count) }
  for row in 0..<count {
    unsafe buffers[0].pointer[row] = logits[row]
    unsafe buffers[1].pointer[row] = labels[row]
    unsafe buffers[2].pointer[row] = .nan
  }
  let sum = unsafe objective(
    LogitBatch(
      logits: buffers[0].pointer, labels: buffers[1].pointer, gradients: buffers[2].pointer,
      count: count), scale)
  return withExtendedLifetime(buffers) { unsafe (sum, Array(buffers[2].elements)) }
}

/// Runs an objective on one row.
func evaluate(
  _ objective: Objective, _ logit: Float, label: Float = 0
) -> (loss: Double, gradient: Float) {
  let result = evaluate(objective, [logit], labels: [label])
  return (result.sum, result.gradients[0])
}

func softLabels(_ logits: [Float]) -> [Float] {
  let buffers = (0..<2).map { _ in AlignedBuffer<Float>(count: logits.count) }
  for (row, logit) in logits.enumerated() { unsafe buffers[0].pointer[row] = logit }
  unsafe InverseDualLoss.softLabels(
    of: buffers[0].pointer, count: logits.count, into: buffers[1].pointer)
  return withExtendedLifetime(buffers) { unsafe Array(buffers[1].elements) }
}

/// The formulas of the objectives in `Double`.
enum Reference {
  static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

  static func sigmoid(_ x: Double) -> Double {
    x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
  }

  static func crossEntropy(_ y: Double, label: Double) -> Double {
    label * softplus(-y) + (1 - label) * softplus(y)
  }

  /// w⁺ of the inverse dual loss.
  static func positiveWeight(_ y: Double) -> Double {
    let (positive, negative) = (softplus(-y), softplus(y))
    return negative * negative / (positive * positive + negative * negative)
  }

  /// The inverse dual loss at `y` with the weights of `center`: what is differentiated.
  static func dualLoss(_ y: Double, weightsAt center: Double) -> Double {
    crossEntropy(y, label: positiveWeight(center))
  }
}

/// `e⁻ᵃ` beyond a = 87.3 is 0 in the kernels: what losses and derivatives may lack.
let smallestExponential = 1.23e-38

/// Logits over the range of models in training, on no special grid.
let ordinaryLogits: [Float] = (-2_000...2_000).map { Float($0) * 0.0437 }
/// Finite logits far beyond.
let hugeLogits: [Float] = [100, 1e10, 1e20, .greatestFiniteMagnitude]
