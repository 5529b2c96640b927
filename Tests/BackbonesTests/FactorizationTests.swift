import Backbones
import Kernels
import Sharding
import Testing

/// GMF through the protocol, against its formula in `Double`.
@Suite struct FactorizationTests {
  /// A sum with the sizes of its terms, which rounding errors are proportional to.
  private struct Sum {
    var value = 0.0
    var magnitude = 0.0

    mutating func add(_ term: Double) {
      value += term
      magnitude += abs(term)
    }

    func admits(_ result: Float, roundings: Int) -> Bool {
      abs(Double(result) - value) <= 1.01 * Double(roundings) * roundoff * magnitude
    }
  }

  /// Shards 4 ... 7 of eight, in two blocks of this rank, shard 5 without rows. Six users, two of
  /// each other shard; five items.
  private static let rowsPerShard = [5, 0, 7, 1]
  private static let blocks: [UInt32] = [4, 4, 6, 6]
  private static let rowCount = 13
  private static let itemCount = 5

  private let layout: RowLayout
  private let backbone: any Backbone
  private let userIndex: [UInt32]
  private let itemIndex: [UInt32]
  private let scoreGradients: [Float]
  private let users: [Float]
  private let items: [Float]
  private let dense: [Float]

  init() { self.init(factors: 10, hasBiases: true) }

  private init(factors: Int, hasBiases: Bool) {
    var draws = Draws(seed: UInt64(factors))
    let model = GeneralizedMatrixFactorization(factors: factors, hasBiases: hasBiases)
    let layout = model.userLayout
    func rows(_ count: Int) -> [Float] {
      var rows = [Float](repeating: 0, count: count * layout.stride)
      for row in 0..<count {
        for column in layout.valueColumns { rows[row * layout.stride + column] = draws.float() }
      }
      return rows
    }
    users = rows(8)
    items = rows(Self.itemCount)
    var dense = [Float](repeating: 0, count: model.denseCount)
    for column in 0..<factors { dense[column] = draws.float() }
    dense[layout.stride] = draws.float()
    self.dense = dense
    var (userIndex, itemIndex): ([UInt32], [UInt32]) = ([], [])
    for (shard, count) in Self.rowsPerShard.enumerated() {
      for _ in 0..<count {
        userIndex.append(UInt32(2 * shard + draws.integer(below: 2)))
        itemIndex.append(UInt32(draws.integer(below: Self.itemCount)))
      }
    }
    (self.userIndex, self.itemIndex) = (userIndex, itemIndex)
    scoreGradients = (0..<Self.rowCount).map { _ in draws.float() }
    self.layout = layout
    backbone = model
  }

  private func user(_ row: Int, _ column: Int) -> Double {
    Double(users[Int(userIndex[row]) * layout.stride + column])
  }

  private func item(_ row: Int, _ column: Int) -> Double {
    Double(items[Int(itemIndex[row]) * layout.stride + column])
  }

  private func shard(of row: Int) -> Int {
    var (shard, end) = (0, Self.rowsPerShard[0])
    while row >= end {
      shard += 1
      end += Self.rowsPerShard[shard]
    }
    return shard
  }

  /// `Σ δ · derivative` over the rows that `include` admits.
  private func sum(_ include: (Int) -> Bool, _ derivative: (Int) -> Double) -> Sum {
    var sum = Sum()
    for row in 0..<Self.rowCount where include(row) {
      sum.add(Double(scoreGradients[row]) * derivative(row))
    }
    return sum
  }

  private struct Output {
    var scores: [Float]
    var userKeys: [UInt32]
    var userRows: [Float]
    var itemKeys: [UInt32]
    var itemBlocks: [UInt32]
    var itemRows: [Float]
    var denseLeaves: [Float]
  }

  /// A forward and a backward pass as a training step makes them.
  private func run() throws -> Output {
    var starts: [UInt32] = [0]
    for count in Self.rowsPerShard { starts.append(starts[starts.count - 1] + UInt32(count)) }
    let (startBuffer, shards) = (AlignedBuffer(starts), AlignedBuffer<UInt32>([4, 5, 6, 7]))
    let shardOfRow = AlignedBuffer(
      Self.rowsPerShard.enumerated().flatMap { [UInt16](repeating: UInt16($0), count: $1) })
    let (blocks, references) = (
      AlignedBuffer(Self.blocks), AlignedBuffer<UInt32>(count: Self.rowCount)
    )
    let (userRows, itemRows) = (AlignedBuffer(users), AlignedBuffer(items))
    let (userColumn, itemColumn) = (AlignedBuffer(userIndex), AlignedBuffer(itemIndex))
    let (denseRow, deltas) = (AlignedBuffer(dense), AlignedBuffer(scoreGradients))
    let scores = AlignedBuffer<Float>(count: Self.rowCount)
    let leaves = AlignedBuffer([Float](repeating: .nan, count: 4 * backbone.denseCount))
    let gradients = unsafe BatchGradients(
      capacity: Self.rowCount, backbone: backbone, shardCount: 8, ordered: true,
      denseLeaves: leaves.pointer)
    let batch = unsafe RowBatch(
      users: userColumn.pointer, items: itemColumn.pointer, count: Self.rowCount,
      runs: ShardRuns(
        starts: startBuffer.pointer, shards: shards.pointer, blocks: blocks.pointer,
        shardOfRow: shardOfRow.pointer, count: 4))
    unsafe backbone.writeItemReferences(of: batch, into: references.pointer)
    let parameters = unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: userRows.pointer, spacing: backbone.userLayout.stride, index: userColumn.pointer),
      items: WeightedProduct.Side(
        base: itemRows.pointer, spacing: backbone.itemLayout.stride, index: references.pointer),
      dense: denseRow.pointer)
    unsafe gradients.userSegments.sort(userColumn.pointer, count: Self.rowCount, bound: 8)
    unsafe gradients.itemSegments.sort(references.pointer, count: Self.rowCount, bound: 5)
    unsafe try backbone.forward(batch, parameters, into: scores.pointer)
    unsafe try backbone.backward(
      batch, parameters, scoreGradients: deltas.pointer, into: gradients)
    defer { withExtendedLifetime((userRows, itemRows, denseRow, deltas, shardOfRow)) {} }
    let partials = gradients.itemPartials
    return withExtendedLifetime(
      [startBuffer, shards, blocks, references, userColumn, itemColumn]
    ) {
      Output(
        scores: scores.values,
        userKeys: Array(
          gradients.userSegments.segmentKeys.values.prefix(gradients.userSegments.segmentCount)),
        userRows: gradients.userRows.values,
        itemKeys: Array(partials.keys.values.prefix(partials.count)),
        itemBlocks: Array(partials.blocks.values.prefix(partials.count)),
        itemRows: partials.rows.values, denseLeaves: leaves.values)
    }
  }

  @Test(arguments: [1, 8, 10, 32], [false, true])
  func passesAreTheFormula(factors: Int, hasBiases: Bool) throws {
    let problem = FactorizationTests(factors: factors, hasBiases: hasBiases)
    let output = try problem.run()
    problem.checkScores(output)
    problem.checkUsers(output)
    problem.checkItems(output)
    problem.checkDense(output)
  }

  private func checkScores(_ output: Output) {
    for row in 0..<Self.rowCount {
      var score = Sum()
      for column in 0..<layout.factors {
        score.add(Double(dense[column]) * user(row, column) * item(row, column))
      }
      if layout.hasBias {
        score.add(user(row, layout.biasColumn))
        score.add(item(row, layout.biasColumn))
      }
      score.add(Double(dense[layout.stride]))
      // One product, a fused sum of up to 4 blocks, 3 additions of lanes and 3 of biases.
      #expect(score.admits(output.scores[row], roundings: 1 + 4 + 3 + 3))
    }
  }

  private func checkUsers(_ output: Output) {
    #expect(output.userKeys == Set(userIndex).sorted())
    for (segment, key) in output.userKeys.enumerated() {
      for column in layout.valueColumns {
        let expected = sum({ userIndex[$0] == key }) {
          column == layout.biasColumn ? 1 : Double(dense[column]) * item($0, column)
        }
        // One rounding per row, and the product with the weight.
        #expect(
          expected.admits(
            output.userRows[segment * layout.stride + column], roundings: Self.rowCount + 1))
      }
    }
  }

  private func checkItems(_ output: Output) {
    let touched = Set((0..<Self.rowCount).map { [itemIndex[$0], Self.blocks[shard(of: $0)]] })
    let order = touched.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(zip(output.itemKeys, output.itemBlocks).map { [$0, $1] } == order)
    for (place, key) in order.enumerated() {
      for column in layout.valueColumns {
        let expected = sum({ itemIndex[$0] == key[0] && Self.blocks[shard(of: $0)] == key[1] }) {
          column == layout.biasColumn ? 1 : Double(dense[column]) * user($0, column)
        }
        // As for users, and one more addition of two shards.
        #expect(
          expected.admits(
            output.itemRows[place * layout.stride + column], roundings: Self.rowCount + 2))
      }
    }
  }

  private func checkDense(_ output: Output) {
    for shard in 0..<4 {
      for column in 0..<backbone.denseCount {
        let expected = sum({ self.shard(of: $0) == shard }) {
          if column == layout.stride { return 1 }
          return column < layout.factors ? user($0, column) * item($0, column) : 0
        }
        // One rounding per row and, for each of two users, one more.
        #expect(
          expected.admits(
            output.denseLeaves[shard * backbone.denseCount + column],
            roundings: Self.rowCount + 2))
      }
    }
  }
}
