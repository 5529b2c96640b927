import Backbones
import Foundation
import Kernels
import Sharding
import Training

/// Numbers of `Tests/Goldens/inverse_gradient.py`, which knows nothing of this code.
struct GoldenFile: Decodable {
  let problems: [String: Problem]
  let steps: [GoldenStep]

  static func load() throws -> GoldenFile {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appending(path: "Goldens/inverse_gradient.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(GoldenFile.self, from: data)
  }

  /// The parameters before a step, and its rows.
  struct Problem: Decodable, Sendable {
    let factors: Int
    let userRows: [[Double]]
    let itemRows: [[Double]]
    let userBiases: [Double]
    let itemBiases: [Double]
    let weight: [Double]
    let bias: Double
    let labeled: Rows
    let unlabeled: Rows

    var parameters: Parameters {
      Parameters(
        userRows: userRows, itemRows: itemRows, userBiases: userBiases, itemBiases: itemBiases,
        weight: weight, bias: bias)
    }
  }

  struct Rows: Decodable, Sendable {
    let users: [Int]
    let items: [Int]
    let labels: [Double]?
  }
}

/// One value for every parameter of the model.
struct Parameters: Decodable, Sendable {
  var userRows: [[Double]]
  var itemRows: [[Double]]
  var userBiases: [Double]
  var itemBiases: [Double]
  var weight: [Double]
  var bias: Double

  /// All values in one order.
  var all: [Double] {
    userRows.flatMap { $0 } + itemRows.flatMap { $0 } + userBiases + itemBiases + weight + [bias]
  }

  /// The values of tables with padding, in the same order.
  static func all(users: [Float], items: [Float], dense: [Float], factors: Int) -> [Double] {
    let layout = RowLayout(factors: factors, hasBias: true)
    func rows(_ values: [Float], _ column: Range<Int>) -> [Double] {
      stride(from: 0, to: values.count, by: layout.stride).flatMap { start in
        column.map { Double(values[start + $0]) }
      }
    }
    let bias = layout.biasColumn..<layout.biasColumn + 1
    return rows(users, 0..<factors) + rows(items, 0..<factors) + rows(users, bias)
      + rows(items, bias) + dense.prefix(factors).map { Double($0) }
      + [Double(dense[layout.stride])]
  }

  /// Sets the rows of a model of factorisation with biases that this rank writes.
  func fill(_ model: Model) {
    let layout = model.backbone.userLayout
    func fill(_ row: UnsafeMutablePointer<Float>, _ factors: [Double], _ bias: Double) {
      for (column, factor) in factors.enumerated() { unsafe row[column] = Float(factor) }
      unsafe row[layout.biasColumn] = Float(bias)
    }
    for local in model.users.written {
      let user = model.firstUser + local
      unsafe fill(model.users.row(local), userRows[user], userBiases[user])
    }
    for item in model.items.written {
      unsafe fill(model.items.row(item), itemRows[item], itemBiases[item])
    }
    let dense = unsafe model.dense.row(0)
    for (column, factor) in weight.enumerated() { unsafe dense[column] = Float(factor) }
    unsafe dense[layout.stride] = Float(bias)
  }
}

struct GoldenStep: Decodable, Sendable {
  let name: String
  let problem: String
  let objective: String
  let direction: String?
  let alpha: Double?
  let optimizer: String
  let beta: Double
  let weightDecay: Double
  let lambda: Double
  let expected: Expected

  struct Expected: Decodable, Sendable {
    let virtualGradient: Parameters?
    let losses: [String: Double]?
    let decision: String?
    let loss: Double?
    let gradient: Parameters
    let parameters: Parameters
  }
}

/// How far `Float` may lead from the script's `Double`, to first order and with every rounding at
/// its worst.
struct GoldenBound {
  /// Of the labeled loss of the chosen candidate and of those before the step.
  let loss: Double
  /// Of the gradient that the optimizer is given, and of a parameter that is only shifted.
  private let gradient: Double
  private let parameter: Double
  private let step: GoldenStep

  init(_ problem: GoldenFile.Problem, _ step: GoldenStep) {
    self.step = step
    let theta = problem.parameters.all.map { abs($0) }
    // The winning virtual step moves every parameter by at most α d.
    let alpha = step.expected.decision == "none" ? 0 : step.alpha ?? 0
    let move =
      alpha
      * (step.direction == "gradient"
        ? (step.expected.virtualGradient?.all.map { abs($0) }.max() ?? 0) : 1)
    let largest = (theta.max() ?? 0) + move
    // The largest sums over factors of |w p q| and of its derivatives |p q| + |w q| + |w p|, and
    // the largest |w p|, |w q|, |p q|, of the rows that occur.
    var (score, slopes, product) = (0.0, 0.0, 0.0)
    for rows in [problem.labeled, problem.unlabeled] {
      for (user, item) in zip(rows.users, rows.items) {
        var (sum, slope) = (3 * largest, 3.0)
        for factor in 0..<problem.factors {
          let w = abs(problem.weight[factor]) + move
          let p = abs(problem.userRows[user][factor]) + move
          let q = abs(problem.itemRows[item][factor]) + move
          sum += w * p * q
          slope += p * q + w * q + w * p
          product = max(product, p * q, w * q, w * p, 1)
        }
        (score, slopes) = (max(score, sum), max(slopes, slope))
      }
    }
    // A score takes 11 roundings. A derivative by it changes by at most `steepness` per unit of
    // score, is at most `size` and good to 8 ulp, and is divided by the number of rows; a gradient
    // is a sum over the rows, with at most 20 roundings a term.
    func gradientError(scoreError: Double, steepness: Double, size: Double) -> Double {
      product * (steepness * scoreError + (8 + 20) * roundoff * size)
    }
    let scoreError = 11 * roundoff * score
    // docs/method.md, section 2: |σ(y) − w⁺| < 0.22, steepest at 0 with less than ½.
    let dual = gradientError(scoreError: scoreError, steepness: 0.5, size: 0.22)
    let isGradient = step.direction == "gradient"
    let shift = alpha * (isGradient ? dual : 0) + 2 * roundoff * largest
    let shiftedScoreError = scoreError + shift * slopes
    loss = 2 * (shiftedScoreError + 8 * roundoff * (1 + score))
    let crossEntropy = gradientError(scoreError: shiftedScoreError, steepness: 0.25, size: 1)
    // At most both terms of an objective, with λ ≤ 1.
    gradient = (step.objective == "ig" ? 1 : 2) * max(crossEntropy, dual)
    parameter = shift
  }

  /// Of a parameter after the step, with the expected gradient.
  func parameter(_ expected: Double, gradient slope: Double) -> Double {
    // Decay adds two roundings; the step's own arithmetic at most 20, of a size at most β · slope
    // for gradient descent and β for Adam.
    let decayed = gradient + step.weightDecay * parameter + 4 * roundoff * (abs(slope) + 1)
    let last = parameter + 2 * roundoff * (abs(expected) + step.beta)
    guard step.optimizer == "adam" else { return last + step.beta * decayed }
    // The first step is g / (|g| + ε), whose slope is ε / (|g| + ε)²; near 0 only its range of ±1
    // is certain. The corrections come from β of `Float`, good to 3e-5 relative.
    let size = abs(slope) - decayed
    let change = size > 0 ? min(2, 1e-8 * decayed / (size * size)) : 2
    return last + step.beta * (20 * roundoff + change)
  }
}
