import Fabric
import Kernels
import Testing

/// Sums along the shard tree by recursion, of the leaves there are.
func treeSum(_ leaves: [[Float]?], _ shards: Range<Int>) -> [Float]? {
  guard shards.count > 1 else { return leaves[shards.lowerBound] }
  let middle = shards.lowerBound + shards.count / 2
  let left = treeSum(leaves, shards.lowerBound..<middle)
  let right = treeSum(leaves, middle..<shards.upperBound)
  guard let left, let right else { return left ?? right }
  return zip(left, right).map { $0 + $1 }
}

@Suite struct RowScatterTests {
  static let (itemCount, shardCount) = (5, 16)

  /// Positions over 16 shards, some of them empty, each with a gradient of `columns` numbers.
  struct Problem {
    let columns: Int
    var (shardOfRow, users, items): ([Int], [UInt32], [UInt32]) = ([], [], [])
    let gradients: [Float]

    init(columns: Int, seed: UInt64) {
      self.columns = columns
      var draws = Draws(seed: seed)
      for shard in 0..<shardCount where ![3, 8, 9, 15].contains(shard) {
        for _ in 0..<draws.integer(below: 7) {
          shardOfRow.append(shard)
          users.append(UInt32(2 * shard + draws.integer(below: 2)))
          items.append(UInt32(draws.integer(below: itemCount)))
        }
      }
      gradients = draws.floats(users.count * columns)
    }

    func chain(_ rows: [Int]) -> [Float]? {
      guard let first = rows.first else { return nil }
      return (0..<columns).map { column in
        rows.dropFirst().reduce(gradients[first * columns + column]) {
          $0 + gradients[$1 * columns + column]
        }
      }
    }

    func tree(_ item: UInt32, _ shards: Range<Int>) -> [Float]? {
      let leaves = (0..<shardCount).map { shard in
        chain(items.indices.filter { items[$0] == item && shardOfRow[$0] == shard })
      }
      return treeSum(leaves, shards)
    }

    /// The partial sums of a rank, written from column 8 on of rows that are wider.
    func partials(
      shards: Range<Int>, blocks: [Range<Int>], ordered: Bool = true
    ) -> (keys: [UInt32], blocks: [UInt32], rows: [Float]) {
      let positions = users.indices.filter { shards.contains(shardOfRow[$0]) }
      let rows = Rows(
        positions.flatMap { gradients[$0 * columns..<($0 + 1) * columns] }, columns: columns)
      let index = AlignedBuffer(positions.map { items[$0] })
      let starts = AlignedBuffer<UInt32>(count: shards.count + 1)
      let numbers = AlignedBuffer(shards.map { UInt32($0) })
      let firsts = AlignedBuffer(blocks.flatMap { b in b.map { _ in UInt32(b.lowerBound) } })
      let places = AlignedBuffer(positions.map { UInt16(shardOfRow[$0] - shards.lowerBound) })
      let segments = SegmentSort(capacity: positions.count)
      unsafe segments.sort(index.pointer, count: positions.count, bound: itemCount)
      let partials = PartialRows(capacity: positions.count, stride: 8 + rows.stride + 8)
      unsafe RowScatter.addItems(
        rows.matrix, columns: columns, segments: segments,
        runs: ShardRuns(
          starts: starts.pointer, shards: numbers.pointer, blocks: firsts.pointer,
          shardOfRow: places.pointer, count: shards.count),
        ordered: ordered, scratch: TreeScratch(stride: rows.stride, shardCount: shardCount),
        partials: partials, column: 8)
      return withExtendedLifetime((rows, index, starts, numbers, firsts, places)) {
        let values = partials.rows.values
        return (
          partials.keys.prefix(partials.count), partials.blocks.prefix(partials.count),
          (0..<partials.count * rows.stride).map {
            values[$0 / rows.stride * partials.stride + 8 + $0 % rows.stride]
          }
        )
      }
    }
  }

  @Test(arguments: [1, 7, 8, 9, 31, 40])
  func userRowsAreSumsInOrder(columns: Int) {
    let problem = Problem(columns: columns, seed: 2)
    let rows = Rows(problem.gradients, columns: columns)
    let index = AlignedBuffer(problem.users)
    let segments = SegmentSort(capacity: problem.users.count)
    unsafe segments.sort(index.pointer, count: index.count, bound: 2 * Self.shardCount)
    let sums = Rows(filled: .nan, count: segments.segmentCount, columns: columns)
    RowScatter.addUsers(
      rows.matrix, columns: columns, segments: segments, into: sums.mutable)
    let expected = Set(problem.users).sorted().flatMap { user in
      problem.chain(problem.users.indices.filter { problem.users[$0] == user }) ?? []
    }
    #expect(sums.values.bits == expected.bits && sums.isPadded)
    withExtendedLifetime((rows, index)) {}
  }

  @Test(arguments: [1, 2, 3, 4, 7, 16], [8, 40])
  func anyNumberOfRanksGivesTheSameBits(ranks: Int, columns: Int) {
    for seed in UInt64(1)...4 {
      let problem = Problem(columns: columns, seed: seed)
      let tree = ShardTree(shardCount: Self.shardCount, rankCount: ranks)
      var (keys, blocks, rows): ([UInt32], [UInt32], [Float]) = ([], [], [])
      for rank in 0..<ranks {
        let part = problem.partials(shards: tree.shards(of: rank), blocks: tree.blocks(of: rank))
        keys += part.keys
        blocks += part.blocks
        rows += part.rows
      }
      let sums = TreeOrderTests.merge(
        keys: keys, blocks: blocks, rows: rows, columns, ordered: true)
      let expected = Set(problem.items).sorted().flatMap {
        problem.tree($0, 0..<Self.shardCount) ?? []
      }
      #expect(sums.bits == expected.bits)
    }
  }

  @Test func unorderedSumsRunInRowOrder() {
    let problem = Problem(columns: 8, seed: 3)
    let part = problem.partials(shards: 0..<16, blocks: [0..<16], ordered: false)
    let expected = part.keys.flatMap { key in
      problem.chain(problem.items.indices.filter { problem.items[$0] == key }) ?? []
    }
    #expect(part.keys == Set(problem.items).sorted())
    #expect(part.rows.bits == expected.bits)
    #expect(part.rows != problem.partials(shards: 0..<16, blocks: [0..<16]).rows)
  }

  @Test func noPositionsGiveNoSums() {
    let part = Problem(columns: 8, seed: 1).partials(shards: 8..<10, blocks: [8..<10])
    #expect(part.keys.isEmpty && part.rows.isEmpty)
  }

  /// Rows that go out and come back are the same, and no others are touched.
  @Test(arguments: [8, 24, 64]) func scatteredRowsAreWhereTheyWereGathered(columns: Int) {
    var draws = Draws(seed: 3)
    let source = Rows(draws.floats(9 * columns), columns: columns)
    let chosen: [UInt32] = [0, 2, 3, 8]
    let index = AlignedBuffer(chosen)
    let copies = Rows(filled: .nan, count: chosen.count, columns: columns)
    let target = Rows(filled: -7, count: 9, columns: columns)
    unsafe RowGather.gather(
      source.matrix, index: index.pointer, rows: chosen.count, columns: columns,
      into: copies.mutable)
    unsafe RowGather.scatter(
      copies.matrix, index: index.pointer, rows: chosen.count, columns: columns,
      into: target.mutable)
    for row in 0..<9 {
      let range = row * columns..<(row + 1) * columns
      let wanted =
        chosen.contains(UInt32(row))
        ? Array(source.values[range]) : [Float](repeating: -7, count: columns)
      #expect(Array(target.values[range]) == wanted)
    }
  }

  /// Hidden values ≤ 17, so J's terms are ≤ 17 in every tensor, and at most 9 · 17 are added with 30
  /// roundings each.
  @Test func aPerceptronMatchesTheScript() throws {
    let golden = try LayerGolden.load("mlp")
    let (users, items) = (golden.input("users", columns: 8), golden.input("items", columns: 8))
    let (hidden, hiddenBias) = (
      golden.input("hidden", columns: 16), golden.input("hidden_bias", columns: 9)
    )
    let (last, lastBias) = (golden.input("last", columns: 9), golden.input("last_bias", columns: 1))
    let (userIndex, itemIndex) = (
      AlignedBuffer(golden.indices("users")), AlignedBuffer(golden.indices("items"))
    )
    let delta = golden.delta(columns: 1)
    let (x, h, y) = (
      Rows(filled: .nan, count: 7, columns: 16), Rows(filled: .nan, count: 7, columns: 9),
      Rows(filled: .nan, count: 7, columns: 1)
    )
    unsafe RowGather.gather(
      users.matrix, index: userIndex.pointer, rows: 7, columns: 8, into: x.mutable)
    unsafe RowGather.gather(
      items.matrix, index: itemIndex.pointer, rows: 7, columns: 8, into: x.mutable.columns(from: 8))
    let first = unsafe Linear.Layer(inputs: 16, outputs: 9, weight: hidden.matrix)
    let second = unsafe Linear.Layer(
      inputs: 9, outputs: 1, weight: last.matrix, bias: lastBias.pointer)
    Linear.forward(first, rows: 7, input: x.matrix, output: h.mutable)
    unsafe RectifiedLinear.forward(h.mutable, rows: 7, columns: 9, bias: hiddenBias.pointer)
    Linear.forward(second, rows: 7, input: h.matrix, output: y.mutable)
    #expect(golden.admits(y, golden.output, size: 9 * 17, roundings: 30))

    let (dh, dx) = (
      Rows(filled: .nan, count: 7, columns: 9), Rows(filled: .nan, count: 7, columns: 16)
    )
    let (dHidden, dHiddenBias) = (
      Rows(filled: .nan, count: 9, columns: 16), Rows(filled: .nan, count: 1, columns: 9)
    )
    let (dLast, dLastBias) = (
      Rows(filled: .nan, count: 1, columns: 9), Rows(filled: .nan, count: 1, columns: 1)
    )
    unsafe Linear.backward(
      second, rows: 7, input: h.matrix, outputGradient: delta.matrix, inputGradient: dh.mutable,
      gradients: Linear.Gradients(weight: dLast.mutable, bias: dLastBias.pointer))
    RectifiedLinear.backward(outputs: h.matrix, gradients: dh.mutable, rows: 7, columns: 9)
    unsafe Linear.backward(
      first, rows: 7, input: x.matrix, outputGradient: dh.matrix, inputGradient: dx.mutable,
      gradients: Linear.Gradients(weight: dHidden.mutable, bias: dHiddenBias.pointer))
    let segments = SegmentSort(capacity: 7)
    func tableGradient(_ index: AlignedBuffer<UInt32>, rows: Int, column: Int) -> Rows {
      unsafe segments.sort(index.pointer, count: 7, bound: rows)
      let sums = Rows(filled: 0, count: segments.segmentCount, columns: 8)
      RowScatter.addUsers(
        dx.matrix.columns(from: column), columns: 8, segments: segments, into: sums.mutable)
      var table = [Float](repeating: 0, count: rows * 8)
      for segment in 0..<segments.segmentCount {
        let key = Int(segments.segmentKeys.values[segment])
        let row = sums.values[segment * 8..<segment * 8 + 8]
        table.replaceSubrange(key * 8..<key * 8 + 8, with: row)
      }
      return Rows(table, columns: 8)
    }
    let found = [
      "users": tableGradient(userIndex, rows: 4, column: 0),
      "items": tableGradient(itemIndex, rows: 5, column: 8),
      "hidden": dHidden, "hidden_bias": dHiddenBias, "last": dLast, "last_bias": dLastBias,
    ]
    for (name, rows) in found {
      #expect(golden.admits(rows, golden.gradients[name], size: 9 * 17, roundings: 30), "\(name)")
    }
    withExtendedLifetime((users, items, hidden, hiddenBias, last, lastBias)) {}
    withExtendedLifetime((x, h, delta)) {}
  }
}
