import Fabric
import Kernels
import Testing

/// Sums over shards follow one tree, whoever owns the shards.
@Suite struct TreeOrderTests {
  static let layouts = [
    RowLayout(factors: 10, hasBias: true), RowLayout(factors: 20, hasBias: true),
    RowLayout(factors: 32, hasBias: false),
  ]

  /// 16 shards with 0 to 6 rows each; four are empty, among them a whole pair.
  static func problem(_ layout: RowLayout, seed: UInt64) -> Problem {
    var draws = Draws(seed: seed)
    var counts = (0..<16).map { _ in draws.integer(below: 7) }
    for empty in [3, 8, 9, 15] { counts[empty] = 0 }
    return Problem(layout: layout, rowsPerShard: counts, seed: seed)
  }

  /// The partial sums of all ranks, in the order of the ranks, added by the owner.
  static func merged(_ problem: Problem, ranks: Int, ordered: Bool = true) -> [Float] {
    let tree = ShardTree(shardCount: 16, rankCount: ranks)
    var (keys, blocks, rows): ([UInt32], [UInt32], [Float]) = ([], [], [])
    for rank in 0..<ranks {
      let part = problem.gradients(
        shards: tree.shards(of: rank), blocks: tree.blocks(of: rank), ordered: ordered)
      keys += part.itemKeys
      blocks += part.itemBlocks
      rows += part.itemRows
    }
    return merge(keys: keys, blocks: blocks, rows: rows, problem.layout.stride, ordered: ordered)
  }

  static func merge(
    keys: [UInt32], blocks: [UInt32], rows: [Float], _ stride: Int, ordered: Bool
  ) -> [Float] {
    let segments = SegmentSort(capacity: keys.count)
    let sums = AlignedBuffer<Float>(count: keys.count * stride)
    let (keyBuffer, rowBuffer) = (AlignedBuffer(keys), AlignedBuffer(rows))
    let blockBuffer = AlignedBuffer(blocks)
    unsafe segments.sort(keyBuffer.pointer, count: keys.count, bound: Problem.itemCount)
    let places = unsafe AlignedBuffer<UnsafePointer<Float>>(
      keys.indices.map { unsafe UnsafePointer(rowBuffer.pointer) + $0 * stride })
    unsafe PartialSums.merge(
      segments: segments, rows: places.pointer, blocks: blockBuffer.pointer, ordered: ordered,
      scratch: TreeScratch(stride: stride, shardCount: 16), sums: sums.pointer)
    return unsafe withExtendedLifetime((keyBuffer, rowBuffer, blockBuffer, places)) {
      sums.prefix(segments.segmentCount * stride)
    }
  }

  @Test(arguments: layouts, [1, 2, 3, 4])
  func oneRankAddsAlongTheTree(layout: RowLayout, seed: UInt64) {
    let problem = Self.problem(layout, seed: seed)
    let result = problem.gradients()
    let expected = result.itemKeys.compactMap { problem.treeItemGradient($0, shards: 0..<16) }
    #expect(result.itemKeys == Set(problem.itemIndex).sorted())
    #expect(result.itemBlocks == result.itemKeys.map { _ in 0 })
    #expect(result.itemRows.bits == expected.joined().map { $0 }.bits)
  }

  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 11, 13, 16], layouts)
  func anyNumberOfRanksGivesTheSameBits(ranks: Int, layout: RowLayout) {
    for seed in UInt64(1)...4 {
      let problem = Self.problem(layout, seed: seed)
      #expect(Self.merged(problem, ranks: ranks).bits == problem.gradients().itemRows.bits)
    }
  }

  /// The order matters in the last digits here, or the tests above would prove nothing.
  @Test(arguments: layouts)
  func rowOrderGivesOtherBits(layout: RowLayout) {
    let problem = Self.problem(layout, seed: 1)
    #expect(problem.gradients(ordered: false).itemRows.bits != problem.gradients().itemRows.bits)
  }

  /// A block of a rank is one partial sum per item, the subtree below one node.
  @Test func everyBlockIsOnePartialSum() {
    let problem = Self.problem(Self.layouts[0], seed: 2)
    let blocks = [5..<6, 6..<8, 8..<10, 10..<11]
    let result = problem.gradients(shards: 5..<11, blocks: blocks)
    var expected: [(UInt32, UInt32, [Float])] = []
    for key in 0..<UInt32(Problem.itemCount) {
      for block in blocks {
        guard let row = problem.treeItemGradient(key, shards: block) else { continue }
        expected.append((key, UInt32(block.lowerBound), row))
      }
    }
    #expect(result.itemKeys == expected.map(\.0))
    #expect(result.itemBlocks == expected.map(\.1))
    #expect(result.itemRows.bits == expected.flatMap(\.2).bits)
  }

  @Test(arguments: layouts)
  func unorderedSumsRunInRowOrder(layout: RowLayout) {
    let problem = Self.problem(layout, seed: 3)
    let result = problem.gradients(ordered: false)
    #expect(result.itemKeys == Set(problem.itemIndex).sorted())
    #expect(
      result.itemRows.bits == result.itemKeys.flatMap { problem.chainItemGradient($0) }.bits)
  }

  @Test func unorderedMergesAddInTheOrderOfArrival() {
    var draws = Draws(seed: 6)
    let rows = draws.floats(7 * 8)
    let keys: [UInt32] = [2, 0, 2, 2, 0, 2, 2]
    let sums = Self.merge(
      keys: keys, blocks: [0, 4, 2, 1, 7, 3, 6], rows: rows, 8, ordered: false)
    var expected: [Float] = []
    for key in [UInt32(0), 2] {
      let members = keys.indices.filter { keys[$0] == key }
      for column in 0..<8 {
        expected.append(
          members.dropFirst().reduce(rows[members[0] * 8 + column]) { $0 + rows[$1 * 8 + column] })
      }
    }
    #expect(sums.bits == expected.bits)
  }

  /// All 64 shards of a job in one sum: the deepest stack there is for them.
  @Test func aFullTreeFitsTheStack() {
    let layout = RowLayout(factors: 8, hasBias: false)
    let problem = Problem(
      layout: layout, rowsPerShard: [Int](repeating: 3, count: 64), seed: 12)
    let result = problem.gradients()
    let expected = result.itemKeys.compactMap { problem.treeItemGradient($0, shards: 0..<64) }
    #expect(result.itemRows.bits == expected.joined().map { $0 }.bits)
  }

  @Test func aRankWithoutRowsHasNoPartialSums() {
    let problem = Self.problem(Self.layouts[0], seed: 2)
    let result = problem.gradients(shards: 8..<10, blocks: [8..<10])
    #expect(result.userKeys.isEmpty && result.itemKeys.isEmpty)
    #expect(result.denseRows.allSatisfy { $0 == 0 } && !result.denseRows.isEmpty)
  }
}
