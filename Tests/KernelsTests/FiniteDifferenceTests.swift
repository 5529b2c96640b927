import Kernels
import Testing

/// Every gradient against differences of the kernel's own scores.
@Suite struct FiniteDifferenceTests {
  /// `J = Σ_b δ · score[b]`.
  private static func objective(_ problem: Problem) -> Double {
    zip(problem.scores(), problem.scoreGradients).reduce(0) {
      $0 + Double($1.0) * Double($1.1)
    }
  }

  /// A score is linear in each parameter, so a central difference of ½ is exact but for rounding.
  ///
  /// A score has at most F + 3 terms of size ≤ 1.5 and 7 + F/8 roundings; B scores, twice, weighted
  /// by at most 1 and divided by 1. The gradient has at most B + 4 roundings of B terms ≤ 1.
  private static func bound(_ problem: Problem) -> Double {
    let (rows, layout) = (Double(problem.rowCount), problem.layout)
    let score = 1.5 * Double((layout.factors + 3) * (7 + layout.factorBlocks)) * roundoff
    return 2 * rows * score + (rows + 4) * roundoff * rows
  }

  private static func difference(
    _ problem: Problem, _ tensor: WritableKeyPath<Problem, [Float]>, _ index: Int
  ) -> Double {
    var (up, down) = (problem, problem)
    up[keyPath: tensor][index] += 0.5
    down[keyPath: tensor][index] -= 0.5
    return objective(up) - objective(down)
  }

  private static let cases = [(3, false), (10, true), (20, true), (32, false), (32, true)]

  @Test(arguments: cases)
  func userRows(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 20, seed: 8)
    let result = problem.gradients()
    for key in 0..<problem.userCount {
      let segment = result.userKeys.firstIndex(of: UInt32(key))
      for column in layout.valueColumns {
        let gradient = segment.map { result.userRows[$0 * layout.stride + column] } ?? 0
        let expected = Self.difference(problem, \.users, key * layout.stride + column)
        #expect(abs(Double(gradient) - expected) <= Self.bound(problem))
      }
    }
  }

  @Test(arguments: cases)
  func itemRows(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 20, seed: 9)
    let result = problem.gradients()
    for key in 0..<Problem.itemCount {
      let segment = result.itemKeys.firstIndex(of: UInt32(key))
      for column in layout.valueColumns {
        let gradient = segment.map { result.itemRows[$0 * layout.stride + column] } ?? 0
        let expected = Self.difference(problem, \.items, key * layout.stride + column)
        #expect(abs(Double(gradient) - expected) <= Self.bound(problem))
      }
    }
  }

  @Test(arguments: cases)
  func denseParameters(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 20, seed: 10)
    let result = problem.gradients()
    let denseCount = WeightedProduct.denseCount(layout)
    for column in Array(0..<factors) + [layout.stride] {
      let gradient = stride(from: column, to: result.denseRows.count, by: denseCount).reduce(0.0) {
        $0 + Double(result.denseRows[$1])
      }
      let expected = Self.difference(problem, \.dense, column)
      #expect(abs(gradient - expected) <= Self.bound(problem))
    }
  }
}
