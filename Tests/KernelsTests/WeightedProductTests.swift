import Kernels
import Testing

/// Factors on both sides of the widths that have code of their own, with rows and biases.
let factorCounts = [1, 3, 8, 10, 16, 31, 32, 64, 100, 128]
let rowCounts = [0, 1, 7, 8, 9, 31]

@Suite struct WeightedProductTests {
  /// A product of three takes one rounding and the fused additions one per block; then three of
  /// the horizontal sum, one of the bias, two of the row biases.
  @Test(arguments: factorCounts, [false, true])
  func scoresMatchDouble(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    for rows in rowCounts {
      let problem = Problem(layout: layout, rows: rows, seed: UInt64(factors))
      let scores = problem.scores()
      #expect(scores.count == rows)
      for row in 0..<rows {
        let reference = problem.referenceScore(row)
        #expect(reference.admits(scores[row], roundings: 7 + layout.factorBlocks))
      }
    }
  }

  @Test(arguments: factorCounts, [false, true])
  func scoresAreAddedInTheDocumentedOrder(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 9, seed: UInt64(factors) + 100)
    #expect(problem.scores().bits == (0..<9).map { problem.orderedScore($0) }.bits)
  }

  /// The count of the additions of a gradient is below that of the rows; a few more for the weight
  /// and the tree. A user's part of the dense gradient is one more addition for each user.
  @Test(arguments: factorCounts, [false, true])
  func gradientsMatchDouble(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    for rows in rowCounts {
      let problem = Problem(layout: layout, rows: rows, seed: UInt64(factors) + 7)
      let result = problem.gradients()
      #expect(result.userKeys == Set(problem.userIndex).sorted())
      #expect(result.itemKeys == Set(problem.itemIndex).sorted())
      for (segment, key) in result.userKeys.enumerated() {
        for column in layout.valueColumns {
          let reference = problem.referenceUserGradient(key, column)
          let value = result.userRows[segment * layout.stride + column]
          #expect(reference.admits(value, roundings: rows + 1))
        }
      }
      for (segment, key) in result.itemKeys.enumerated() {
        for column in layout.valueColumns {
          let reference = problem.referenceItemGradient(key, column)
          let value = result.itemRows[segment * layout.stride + column]
          #expect(reference.admits(value, roundings: rows + 4))
        }
      }
      for shard in problem.rowsPerShard.indices {
        for column in Array(0..<factors) + [layout.stride] {
          let reference = problem.referenceDenseGradient(shard: shard, column)
          let index = shard * WeightedProduct.denseCount(layout) + column
          #expect(reference.admits(result.denseRows[index], roundings: rows + 2))
        }
      }
    }
  }

  @Test(arguments: factorCounts, [false, true])
  func gradientsAreAddedInTheDocumentedOrder(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 31, seed: UInt64(factors) + 50)
    let result = problem.gradients()
    #expect(
      result.userRows.bits == result.userKeys.flatMap { problem.orderedUserGradient($0) }.bits)
    let shards = problem.rowsPerShard.indices
    #expect(
      result.denseRows.bits == shards.flatMap { problem.orderedDenseGradient(shard: $0) }.bits)
  }

  /// Columns that hold no value get no gradient: padding, the place of the bias among the dense
  /// parameters, and whole shards without rows.
  @Test(arguments: factorCounts, [false, true])
  func whatHoldsNoValueGetsNoGradient(factors: Int, hasBias: Bool) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    let problem = Problem(layout: layout, rows: 31, seed: 3)
    let result = problem.gradients()
    for rows in [result.userRows, result.itemRows] {
      for index in rows.indices where !layout.valueColumns.contains(index % layout.stride) {
        #expect(rows[index] == 0)
      }
    }
    let denseCount = WeightedProduct.denseCount(layout)
    for index in result.denseRows.indices {
      let (shard, column) = (index / denseCount, index % denseCount)
      let holdsValue = column < factors || column == layout.stride
      if !holdsValue || problem.rowsPerShard[shard] == 0 { #expect(result.denseRows[index] == 0) }
    }
    #expect(problem.rowsPerShard[0] == 0)
  }

  /// Widths without code of their own (24, 40, 72 factors) run block by block, the others in
  /// registers. Zeros beyond the factors change no sum, so all widths must give the same numbers.
  @Test(arguments: [8, 16, 24, 32, 40, 64, 72])
  func allWidthsGiveTheSameNumbers(factors: Int) {
    let narrow = RowLayout(factors: factors, hasBias: false)
    let problem = Problem(layout: narrow, rows: 31, seed: 21)
    let (scores, result) = (problem.scores(), problem.gradients())
    for width in [16, 32, 40, 64, 72, 128] where width > factors {
      let wide = problem.padded(to: width)
      #expect(wide.scores() == scores)
      let wideResult = wide.gradients()
      #expect(wideResult.userRows.columns(factors, of: width) == result.userRows)
      #expect(wideResult.itemRows.columns(factors, of: width) == result.itemRows)
      #expect(
        wideResult.denseRows.columns(factors, of: width + 8)
          == result.denseRows.columns(factors, of: factors + 8))
    }
  }
}

extension Problem {
  /// The same numbers in rows of `width` factors, zero beyond the present ones.
  fileprivate func padded(to width: Int) -> Problem {
    var problem = Problem(
      layout: RowLayout(factors: width, hasBias: false), rowsPerShard: rowsPerShard, seed: 21)
    func widen(_ rows: [Float]) -> [Float] {
      let zeros = [Float](repeating: 0, count: width - layout.stride)
      return stride(from: 0, to: rows.count, by: layout.stride).flatMap {
        rows[$0..<$0 + layout.stride] + zeros
      }
    }
    problem.users = widen(users)
    problem.items = widen(items)
    problem.dense = widen(dense.dropLast(8)) + dense.suffix(8)
    return problem
  }
}

extension [Float] {
  /// The first `count` columns of rows of `stride`.
  fileprivate func columns(_ count: Int, of stride: Int) -> [Float] {
    indices.filter { $0 % stride < count }.map { self[$0] }
  }
}
