import Fabric
import Kernels
import Testing

@Suite struct SparseProductTests {
  typealias Weights = SparseProblem.Weights

  static let widths = [1, 7, 8, 9, 16, 31, 32, 64, 128, 136, 200]

  @Test(arguments: Weights.allCases, widths)
  func rowsAreSumsInOrder(weights: Weights, width: Int) {
    let problem = SparseProblem(weights, width: width, seed: 1)
    let total = Rows(filled: 1, count: problem.entries.count, columns: width)
    let output = problem.product(total: total)
    let expected = problem.entries.indices.flatMap { problem.orderedRow($0) }
    #expect(output.values.bits == expected.bits && output.isPadded)
    #expect(total.values.bits == expected.map { 1 + $0 }.bits && total.isPadded)
  }

  @Test(arguments: Weights.allCases, [1, 2, 3, 4, 7, 16])
  func anyNumberOfRanksGivesTheSameBits(weights: Weights, ranks: Int) {
    for (seed, width) in [(UInt64(1), 8), (2, 24), (3, 64), (4, 136)] {
      let problem = SparseProblem(weights, width: width, seed: seed)
      let tree = ShardTree(shardCount: SparseProblem.shardCount, rankCount: ranks)
      var (keys, blocks, rows): ([UInt32], [UInt32], [Float]) = ([], [], [])
      for rank in 0..<ranks {
        let part = problem.transposedProduct(
          shards: tree.shards(of: rank), blocks: tree.blocks(of: rank))
        keys += part.keys
        blocks += part.blocks
        rows += part.rows
      }
      let sums = TreeOrderTests.merge(keys: keys, blocks: blocks, rows: rows, width, ordered: true)
      let expected = Set(problem.entries.joined()).sorted().flatMap {
        problem.treeColumn($0, 0..<SparseProblem.shardCount) ?? []
      }
      #expect(sums.bits == expected.bits)
    }
  }

  /// A block of a rank is one partial sum per column, the subtree below one node.
  @Test(arguments: Weights.allCases)
  func everyBlockIsOnePartialSum(weights: Weights) {
    let problem = SparseProblem(weights, width: 9, seed: 5)
    let blocks = [5..<6, 6..<8, 8..<10, 10..<11]
    let part = problem.transposedProduct(shards: 5..<11, blocks: blocks)
    var expected: [(UInt32, UInt32, [Float])] = []
    for key in 0..<UInt32(SparseProblem.columnCount) {
      for block in blocks {
        guard let row = problem.treeColumn(key, block) else { continue }
        expected.append((key, UInt32(block.lowerBound), row))
      }
    }
    #expect(part.keys == expected.map(\.0))
    #expect(part.blocks == expected.map(\.1))
    #expect(part.rows.bits == expected.flatMap(\.2).bits)
  }

  @Test(arguments: Weights.allCases)
  func unorderedSumsRunInRowOrder(weights: Weights) {
    let problem = SparseProblem(weights, width: 8, seed: 2)
    let part = problem.transposedProduct(shards: 0..<16, blocks: [0..<16], ordered: false)
    let expected = Set(problem.entries.joined()).sorted().flatMap {
      problem.orderedColumn($0, rows: 0..<problem.entries.count) ?? []
    }
    #expect(part.rows.bits == expected.bits)
    // The order matters in the last digits here, or equal bits would prove nothing.
    #expect(part.rows != problem.transposedProduct(shards: 0..<16, blocks: [0..<16]).rows)
  }

  /// The transposed product is the gradient of the product, which is linear: differences are exact
  /// but for `Double`'s rounding, 2⁻⁴¹ of an objective below 4 terms for each of the rows. A column
  /// has at most R terms of size 1 and R + 3 roundings.
  @Test(arguments: Weights.allCases)
  func transposedProductIsTheGradient(weights: Weights) throws {
    let problem = SparseProblem(weights, width: 3, seed: 6)
    let rows = problem.entries.count
    func output(_ items: [Double]) -> Double {
      var sum = 0.0
      for row in 0..<rows {
        for (entry, column) in problem.entries[row].enumerated() {
          var weight = weights.hasValues ? Double(problem.values[row][entry]) : 1
          if weights.hasScales {
            weight *= Double(problem.rowScales[row]) * Double(problem.columnScales[Int(column)])
          }
          for feature in 0..<3 {
            let delta = Double(problem.users[row * 3 + feature])
            sum += delta * weight * items[Int(column) * 3 + feature]
          }
        }
      }
      return sum
    }
    let part = problem.transposedProduct(shards: 0..<16, blocks: [0..<16])
    let bound = 1.01 * Double(rows * (rows + 3)) * roundoff + Double(12 * rows) * 0x1p-41
    let items = problem.items.map { Double($0) }
    for place in items.indices {
      let partial = part.keys.firstIndex(of: UInt32(place / 3))
      let gradient = partial.map { part.rows[$0 * 3 + place % 3] } ?? 0
      #expect(abs(Double(gradient) - centralDifference(items, place, output)) <= bound)
    }
  }

  @Test func aRankWithoutRowsHasNoPartialSums() {
    let part = SparseProblem(.none, width: 8, seed: 1).transposedProduct(
      shards: 8..<10, blocks: [8..<10])
    #expect(part.keys.isEmpty && part.rows.isEmpty)
  }

  /// Sums of at most 7 products, each of two scales (3 roundings) and a number ≤ 1.
  @Test func normalisedPropagationMatchesTheScript() throws {
    let golden = try LayerGolden.load("sparse")
    let met = golden.indices("met")
    let (users, items) = (6, 7)
    let columns = (0..<users).map { row in
      (0..<UInt32(items)).filter { met[row * items + Int($0)] == 1 }
    }
    var starts = [0]
    for row in columns { starts.append(starts[starts.count - 1] + row.count) }
    func scale(_ degree: Int) -> Float { 1 / Float(max(degree, 1)).squareRoot() }
    let byUser = AlignedBuffer(columns.map { scale($0.count) })
    let byItem = AlignedBuffer(
      (0..<items).map { item in scale(columns.count { $0.contains(UInt32(item)) }) })
    let (startBuffer, columnBuffer) = (
      AlignedBuffer(starts), AlignedBuffer(columns.flatMap { $0 })
    )
    let sparse = unsafe SparseRows(
      rowCount: users, columnCount: items, starts: startBuffer.pointer,
      columns: columnBuffer.pointer)
    let (dense, delta) = (golden.input("items", columns: 10), golden.delta(columns: 10))
    let output = Rows(filled: .nan, count: users, columns: 10)
    unsafe SparseProduct.multiply(
      sparse, by: dense.matrix, columns: 10,
      scales: SparseProduct.Scales(outputs: byUser.pointer, inputs: byItem.pointer),
      into: output.mutable)
    #expect(golden.admits(output, golden.output, size: 7, roundings: 14))

    let (shardStarts, shard) = (
      AlignedBuffer<UInt32>([0, UInt32(users)]), AlignedBuffer<UInt32>(count: 1)
    )
    let unread = AlignedBuffer<UInt16>(count: 1)
    let transposed = unsafe SparseColumns(
      sparse,
      runs: ShardRuns(
        starts: shardStarts.pointer, shards: shard.pointer, blocks: shard.pointer,
        shardOfRow: unread.pointer, count: 1))
    let partials = transposed.makePartials(stride: 16)
    unsafe SparseProduct.multiplyTransposed(
      transposed, by: delta.matrix, columns: 10,
      scales: SparseProduct.Scales(outputs: byItem.pointer, inputs: byUser.pointer),
      scratch: TreeScratch(stride: 16, shardCount: 1), into: partials)
    let gradient = Rows(filled: 0, count: items, columns: 10)
    for (partial, key) in partials.keys.values.enumerated() {
      for column in 0..<10 {
        unsafe gradient.pointer[Int(key) * 16 + column] =
          unsafe partials.rows.pointer[partial * 16 + column]
      }
    }
    #expect(golden.admits(gradient, golden.gradients["items"], size: 6, roundings: 13))
    withExtendedLifetime((byUser, byItem, startBuffer, columnBuffer, dense)) {}
    withExtendedLifetime((delta, shardStarts, shard, unread)) {}
  }

  @Test func columnsOutsideTheMatrixAreRefused() async {
    await #expect(processExitsWith: .failure) {
      let (starts, columns) = (AlignedBuffer([0, 1]), AlignedBuffer<UInt32>([3]))
      _ = unsafe SparseRows(
        rowCount: 1, columnCount: 3, starts: starts.pointer, columns: columns.pointer)
    }
  }
}
