import Foundation
import Kernels
import Testing

/// Numbers of `Tests/Goldens/inverse_gradient.py`, which knows nothing of this code.
struct OptimizerGolden: Decodable {
  struct Expected: Decodable {
    let optimizer: String
    let weightDecay: Double
    /// `(steps, columns)`.
    let weights: [[Double]]
  }

  let rate: Double
  let initial: [Double]
  let gradients: [[Double]]
  let expected: [Expected]

  static func load() throws -> OptimizerGolden {
    struct File: Decodable { let optimizers: OptimizerGolden }
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appending(path: "Goldens/inverse_gradient.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(File.self, from: data).optimizers
  }
}

@Suite struct OptimizerGoldenTests {
  /// As in ``RowOptimizerTests/tolerance(steps:)``, with weights below 0.6 and gradients between 0.2
  /// and 1. Inputs are rounded once: rate, decay, gradients. β of `Float` differs from that of the
  /// script by 3e-8, which changes a mean of `t` gradients by at most `t` times that.
  private static func tolerance(steps: Int, rate: Double) -> Double {
    var sum = 0.0
    for step in 1...steps {
      let roundings = 2.6 * Double(step) + 18
      sum += 1.02 * roundoff * (0.6 + roundings * 5 * rate)
      sum += 3e-8 * Double(step) * 5 * rate
    }
    return sum
  }

  @Test func stepsMatchTheIndependentScript() throws {
    let golden = try OptimizerGolden.load()
    let kinds: [String: RowOptimizer] = [
      "sgd": .gradientDescent, "adagrad": .adagrad, "adam": .adam,
    ]
    #expect(golden.expected.count == 6 && golden.initial.count == 8)
    for expected in golden.expected {
      let optimizer = try #require(kinds[expected.optimizer])
      let weights = AlignedBuffer(golden.initial.map { Float($0) })
      let (first, second) = (AlignedBuffer<Float>(count: 8), AlignedBuffer<Float>(count: 8))
      let index = AlignedBuffer<UInt32>(count: 1)
      for (step, gradients) in golden.gradients.enumerated() {
        let values = AlignedBuffer(gradients.map { Float($0) })
        unsafe optimizer.apply(
          RowOptimizer.Step(
            optimizer, rate: golden.rate, decay: expected.weightDecay, number: step + 1),
          to: RowOptimizer.Rows(
            index: index.pointer, count: 1, gradients: values.pointer, weights: weights.pointer,
            weightOffset: 0, weightSpacing: 8, firstState: first.pointer,
            secondState: second.pointer, stateOffset: 0, stateSpacing: 8, columns: 8, stride: 8))
        withExtendedLifetime((index, values)) {}
        let bound = Self.tolerance(steps: step + 1, rate: golden.rate)
        for (weight, target) in zip(weights.values, expected.weights[step]) {
          #expect(abs(Double(weight) - target) <= bound)
        }
      }
    }
  }
}
