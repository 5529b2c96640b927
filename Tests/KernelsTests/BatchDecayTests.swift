import Kernels
import Testing

/// What a decay adds to the gradients of rows.
@Suite struct BatchDecayTests {
  private static let layouts = [
    RowLayout(factors: 3, hasBias: false), RowLayout(factors: 10, hasBias: true),
    RowLayout(factors: 32, hasBias: true),
  ]

  /// The gradient with decay is that without and `Σ weight · θ`: at most B + 4 roundings of sums of
  /// B terms ≤ 1 in each, with at most B weights ≤ ¾ beside them.
  @Test(arguments: layouts) func rowsGetTheirWeightsTimesTheirValues(layout: RowLayout) {
    let plain = Problem(layout: layout, rows: 20, seed: 8)
    let problem = plain.decaying()
    let (before, after) = (plain.gradients(), problem.gradients())
    #expect(before.userKeys == after.userKeys && before.itemKeys == after.itemKeys)
    #expect(before.denseRows == after.denseRows)
    let bound = 2 * Double(2 * problem.rowCount + 4) * roundoff * 2 * Double(problem.rowCount)
    func check(
      _ keys: [UInt32], _ index: [UInt32], _ weights: [Float]?, _ rows: [Float],
      _ before: [Float], _ after: [Float]
    ) {
      for (segment, key) in keys.enumerated() {
        let weight = index.indices.reduce(0.0) { sum, row in
          sum + (index[row] == key ? Double(weights?[row] ?? .nan) : 0)
        }
        for column in 0..<layout.stride {
          let place = segment * layout.stride + column
          let expected =
            Double(before[place]) + weight * Double(rows[Int(key) * layout.stride + column])
          #expect(abs(Double(after[place]) - expected) <= bound)
        }
      }
    }
    check(
      after.userKeys, problem.userIndex, problem.decays?.users, problem.users, before.userRows,
      after.userRows)
    check(
      after.itemKeys, problem.itemIndex, problem.decays?.items, problem.items, before.itemRows,
      after.itemRows)
  }

  @Test(arguments: layouts) func paddingStaysZero(layout: RowLayout) {
    let after = Problem(layout: layout, rows: 20, seed: 9).decaying().gradients()
    for column in 0..<layout.stride where !layout.valueColumns.contains(column) {
      for rows in [after.userRows, after.itemRows] {
        for start in stride(from: 0, to: rows.count, by: layout.stride) {
          #expect(rows[start + column] == 0)
        }
      }
    }
  }

  /// Partial sums of parts of the tree, added along it, are the bits of the whole.
  @Test(arguments: layouts) func blocksAddUpAlongTheTree(layout: RowLayout) {
    let problem = Problem(layout: layout, rows: 60, seed: 4).decaying()
    let whole = problem.gradients()
    let halves = [0..<4, 4..<8].map { problem.gradients(shards: $0, blocks: [$0]) }
    for (segment, key) in whole.itemKeys.enumerated() {
      let parts = halves.compactMap { half -> ArraySlice<Float>? in
        guard let place = half.itemKeys.firstIndex(of: key) else { return nil }
        return half.itemRows[place * layout.stride..<(place + 1) * layout.stride]
      }
      let sum = (0..<layout.stride).map { column in
        parts.dropFirst().reduce(parts[0][parts[0].startIndex + column]) {
          $0 + $1[$1.startIndex + column]
        }
      }
      let row = whole.itemRows[segment * layout.stride..<(segment + 1) * layout.stride]
      #expect(sum.map(\.bitPattern) == row.map(\.bitPattern))
    }
  }
}
