import Backbones
import Kernels
import Sharding
import Testing

@Suite struct InitialValueTests {
  private static func users(
    _ backbone: GeneralizedMatrixFactorization, _ rows: Range<Int>, seed: UInt64
  ) -> RowTable {
    let table = RowTable(
      layout: backbone.userLayout, held: 0..<rows.count, owned: 0..<rows.count,
      optimizer: .gradientDescent)
    backbone.initializeUsers(table, firstRow: rows.lowerBound, seed: seed)
    return table
  }

  private static func items(
    _ backbone: GeneralizedMatrixFactorization, _ rows: Range<Int>, seed: UInt64
  ) -> RowTable {
    let table = RowTable(
      layout: backbone.itemLayout, held: rows, owned: rows, optimizer: .gradientDescent)
    backbone.initializeItems(table, firstRow: 0, seed: seed)
    return table
  }

  private static func dense(
    _ backbone: GeneralizedMatrixFactorization, seed: UInt64
  ) -> [Float] {
    let buffer = AlignedBuffer<Float>(count: backbone.denseCount)
    unsafe backbone.initializeDense(buffer.pointer, seed: seed)
    return buffer.values
  }

  @Test(arguments: [1, 8, 9, 32], [false, true])
  func valuesDoNotDependOnHowTablesAreSplit(factors: Int, biases: Bool) {
    let backbone = GeneralizedMatrixFactorization(factors: factors, hasBiases: biases)
    let (all, allItems) = (
      Self.users(backbone, 0..<30, seed: 4), Self.items(backbone, 0..<30, seed: 4)
    )
    for rows in [0..<7, 7..<7, 7..<29, 29..<30] {
      let stride = backbone.userLayout.stride
      let range = rows.lowerBound * stride..<rows.upperBound * stride
      #expect(Self.users(backbone, rows, seed: 4).values == Array(all.values[range]))
      #expect(Self.items(backbone, rows, seed: 4).values == Array(allItems.values[range]))
    }
  }

  @Test func everySeedAndTableHasValuesOfItsOwn() {
    let backbone = GeneralizedMatrixFactorization(factors: 8, hasBiases: false)
    let values = [
      Self.users(backbone, 0..<50, seed: 4).values, Self.users(backbone, 0..<50, seed: 5).values,
      Self.items(backbone, 0..<50, seed: 4).values, Self.items(backbone, 0..<50, seed: 5).values,
    ]
    // 400 draws of 24 bits or more: equal ones would be a coincidence, whole equal rows a mistake.
    for first in values.indices {
      let rows = Set((0..<50).map { Array(values[first][8 * $0..<8 * $0 + 8]) })
      #expect(rows.count == 50)
      for second in 0..<first {
        #expect(rows.isDisjoint(with: (0..<50).map { Array(values[second][8 * $0..<8 * $0 + 8]) }))
      }
    }
    #expect(Self.dense(backbone, seed: 4) != Self.dense(backbone, seed: 5))
  }

  /// Moments of a normal distribution with deviation 0.01. Of `n` draws the mean has deviation
  /// σ/√n, the variance σ²√(2/n), the kurtosis √(24/n); five of each are allowed.
  @Test(arguments: [false, true]) func embeddingsAreNormal(ofItems: Bool) {
    let backbone = GeneralizedMatrixFactorization(factors: 33, hasBiases: true)
    let layout = backbone.userLayout
    let table =
      ofItems
      ? Self.items(backbone, 0..<2000, seed: 1) : Self.users(backbone, 0..<2000, seed: 1)
    let rows = table.values
    let draws = (0..<2000).flatMap { row in
      (0..<33).map { Double(rows[row * layout.stride + $0]) }
    }
    let n = Double(draws.count)
    let mean = draws.reduce(0, +) / n
    let second = draws.reduce(0) { $0 + $1 * $1 } / n
    let fourth = draws.reduce(0) { $0 + $1 * $1 * $1 * $1 } / n
    #expect(abs(mean) <= 5 * 0.01 / n.squareRoot())
    #expect(abs(second - 1e-4) <= 5 * 1e-4 * (2 / n).squareRoot())
    #expect(abs(fourth / (second * second) - 3) <= 5 * (24 / n).squareRoot())
    // Neighbouring columns come from one pair of draws and must not go together.
    var products = 0.0
    for place in stride(from: 0, to: draws.count - 1, by: 2) {
      products += draws[place] * draws[place + 1]
    }
    #expect(abs(products / (n / 2)) <= 5 * 1e-4 / (n / 2).squareRoot())
    for row in 0..<2000 {
      #expect(rows[row * layout.stride + 33..<(row + 1) * layout.stride].allSatisfy { $0 == 0 })
    }
  }

  /// Uniform in ±b with b² = 3/F: the mean has deviation b/√(3F); the mean of squares, which is
  /// b²/3, has deviation b²√(4/(45F)).
  @Test func outputWeightsAreUniform() {
    let factors = 4096
    let backbone = GeneralizedMatrixFactorization(factors: factors, hasBiases: true)
    let values = Self.dense(backbone, seed: 2)
    let weights = values.prefix(factors).map { Double($0) }
    let bound = (3 / Double(factors)).squareRoot()
    #expect(weights.allSatisfy { abs($0) <= bound * (1 + roundoff) })
    #expect((weights.max() ?? 0) > 0.99 * bound && (weights.min() ?? 0) < -0.99 * bound)
    let n = Double(factors)
    #expect(abs(weights.reduce(0, +) / n) <= 5 * bound / (3 * n).squareRoot())
    let square = weights.reduce(0) { $0 + $1 * $1 } / n
    #expect(
      abs(square - bound * bound / 3) <= 5 * bound * bound * (4 / (45 * n)).squareRoot())
    #expect(values.dropFirst(factors).allSatisfy { $0 == 0 })
  }

  @Test func theDeviationScalesEmbeddings() {
    let small = GeneralizedMatrixFactorization(factors: 9, hasBiases: true)
    let large = GeneralizedMatrixFactorization(
      factors: 9, hasBiases: true, initialDeviation: 0.08)
    let (few, many) = (
      Self.users(small, 0..<30, seed: 4).values, Self.users(large, 0..<30, seed: 4).values
    )
    // Both are the same draw, scaled in Double and rounded once.
    for (one, other) in zip(few, many) {
      #expect(abs(8 * Double(one) - Double(other)) <= 2.01 * roundoff * Double(abs(other)))
    }
  }

  @Test func fixedOutputWeightsAreOne() {
    let backbone = GeneralizedMatrixFactorization(
      factors: 10, hasBiases: true, trainsOutput: false)
    #expect(!backbone.trainsDense)
    let dense = Self.dense(backbone, seed: 3)
    #expect(dense == (0..<backbone.denseCount).map { $0 < 10 ? 1 : 0 })
  }

  @Test func namesAndPlacesOfTensors() {
    let bare = GeneralizedMatrixFactorization(factors: 10, hasBiases: false)
    #expect(
      bare.denseTensors == [
        DenseTensor(name: "output.weight", shape: [10], offset: 0),
        DenseTensor(name: "output.bias", shape: [1], offset: 16),
      ])
    #expect(bare.denseCount == 24)
    #expect(!bare.keepsIntermediates)
    let biased = GeneralizedMatrixFactorization(factors: 10, hasBiases: true)
    #expect(biased.denseTensors[1].offset == 24 && biased.denseCount == 32)
    #expect(biased.userLayout == RowLayout(factors: 10, hasBias: true))
  }
}
