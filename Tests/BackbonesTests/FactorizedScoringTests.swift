import Backbones
import Kernels
import Sharding
import Testing

/// Products of vectors are the scores.
@Suite struct FactorizedScoringTests {
  private func table(_ layout: RowLayout, rows: Range<Int>, seed: UInt64) -> RowTable {
    let table = RowTable(layout: layout, held: rows, owned: rows, optimizer: .gradientDescent)
    var draws = Draws(seed: seed)
    for row in rows {
      for column in layout.valueColumns { unsafe table.row(row)[column] = draws.float() }
    }
    return table
  }

  @Test(arguments: [1, 8, 10, 32], [false, true])
  func vectorsMultiplyToTheFormula(factors: Int, hasBiases: Bool) throws {
    let model = GeneralizedMatrixFactorization(factors: factors, hasBiases: hasBiases)
    let layout = model.userLayout
    let width = factors + (hasBiases ? 2 : 1)
    #expect(model.vectorWidth == width)
    // A rank's share of a sharded table does not start at row 0.
    let users = table(layout, rows: 0..<6, seed: 1)
    let items = table(layout, rows: 20..<25, seed: 2)
    var draws = Draws(seed: 3)
    let dense = AlignedBuffer<Float>(count: model.denseCount)
    for factor in 0..<factors { unsafe dense.pointer[factor] = draws.float() }
    unsafe dense.pointer[layout.stride] = draws.float()

    let rows = AlignedBuffer<UInt32>([4, 0, 4, 5])
    let userVectors = AlignedBuffer([Float](repeating: .nan, count: 4 * width))
    let itemVectors = AlignedBuffer([Float](repeating: .nan, count: 3 * width))
    unsafe model.writeItemVectors(
      into: itemVectors.pointer, rows: 21..<24, of: items, dense: dense.pointer)
    unsafe model.writeUserVectors(
      into: userVectors.pointer, rows: rows.pointer, count: 4, of: users, dense: dense.pointer)

    for (position, row) in rows.values.enumerated() {
      for item in 21..<24 {
        let (user, other) = unsafe (users.row(Int(row)), items.row(item))
        var (score, magnitude) = unsafe (Double(dense.pointer[layout.stride]), 0.0)
        for factor in 0..<factors {
          unsafe score +=
            Double(dense.pointer[factor]) * Double(user[factor]) * Double(other[factor])
          unsafe magnitude += abs(
            Double(dense.pointer[factor]) * Double(user[factor]) * Double(other[factor]))
        }
        unsafe magnitude += abs(Double(dense.pointer[layout.stride]))
        if hasBiases {
          for bias in unsafe [user[layout.biasColumn], other[layout.biasColumn]] {
            score += Double(bias)
            magnitude += abs(Double(bias))
          }
        }
        let product = (0..<width).reduce(0.0) {
          $0 + Double(userVectors.values[position * width + $1])
            * Double(itemVectors.values[(item - 21) * width + $1])
        }
        // One rounding: the weight times the user's factor, or the sum of two biases.
        #expect(abs(product - score) <= 1.01 * roundoff * magnitude)
      }
    }
    withExtendedLifetime((dense, rows, userVectors, itemVectors)) {}
  }
}
