import Backbones
import Kernels
import Testing

@Suite struct RowBlockTests {
  @Test func shardsAreCutIntoBlocks() {
    let blocks = RowBlock.cut([0..<5, 5..<5, 5..<5 + 2 * RowBlock.size + 1])
    #expect(blocks.map(\.shard) == [0, 2, 2, 2])
    #expect(blocks.map(\.range.count) == [5, RowBlock.size, RowBlock.size, 1])
    #expect(blocks.flatMap { Array($0.range) } == Array(0..<6 + 2 * RowBlock.size))
  }

  /// Every second row, with numbers that count from 1,000.
  @Test func chosenRowsAreCutAtShardsAndBlocks() {
    let shards = [0..<3, 3..<3, 3..<4 * RowBlock.size, 4 * RowBlock.size..<4 * RowBlock.size + 9]
    let keys = AlignedBuffer((0..<2 * RowBlock.size + 2).map { UInt32(1000 + 2 * $0) })
    var blocks: [RowBlock] = []
    unsafe RowBlock.forEach(of: keys.pointer, count: keys.count, shards: shards, firstRow: 1000) {
      blocks.append($0)
    }
    #expect(blocks.map(\.shard) == [0, 2, 2, 3])
    #expect(blocks.map(\.range.count) == [2, RowBlock.size, RowBlock.size - 2, 2])
    #expect(blocks.flatMap { Array($0.range) } == Array(0..<keys.count))
    for block in blocks {
      for place in block.range {
        #expect(shards[block.shard].contains(unsafe Int(keys.pointer[place]) - 1000))
      }
    }
  }

  @Test func noRowsHaveNoBlocks() {
    let keys = AlignedBuffer<UInt32>(count: 1)
    unsafe RowBlock.forEach(of: keys.pointer, count: 0, shards: [0..<2], firstRow: 0) { _ in
      Issue.record("there is a block without rows")
    }
    #expect(RowBlock.cut([0..<0]).isEmpty)
  }
}
