import Kernels
import Testing

@Suite struct SegmentSortTests {
  /// All outputs of the sorter against a stable sort of the standard library.
  static func check(_ sorter: SegmentSort, _ keys: [UInt32], bound: Int) {
    let source = AlignedBuffer(keys)
    unsafe sorter.sort(source.pointer, count: keys.count, bound: bound)
    let order = keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
    #expect(sorter.count == keys.count)
    #expect(sorter.order.prefix(keys.count) == order.map { UInt32($0) })
    var (segmentKeys, starts): ([UInt32], [UInt32]) = ([], [])
    var segments = [UInt32](repeating: 0, count: keys.count)
    for (index, position) in order.enumerated() {
      if keys[position] != segmentKeys.last {
        segmentKeys.append(keys[position])
        starts.append(UInt32(index))
      }
      segments[position] = UInt32(segmentKeys.count - 1)
    }
    #expect(sorter.segmentCount == segmentKeys.count)
    #expect(sorter.segmentKeys.prefix(segmentKeys.count) == segmentKeys)
    #expect(sorter.segmentStarts.prefix(starts.count + 1) == starts + [UInt32(keys.count)])
    let places = (0..<keys.count).map { unsafe sorter.segmentOfPosition[$0] }
    #expect(places == segments)
    let spread = AlignedBuffer<UInt32>(count: keys.count)
    unsafe sorter.spread(sorter.segmentKeys.pointer, into: spread.pointer)
    #expect(spread.values == keys)
    #expect(source.values == keys)
  }

  @Test(
    arguments: [0, 1, 2, 7, 1000, 5000], [1, 2, 2047, 2048, 2049, 1 << 22, (1 << 22) + 1, 1 << 31])
  func agreesWithAStableSort(count: Int, bound: Int) {
    var draws = Draws(seed: UInt64(count + bound))
    let sorter = SegmentSort(capacity: count)
    Self.check(sorter, (0..<count).map { _ in UInt32(draws.integer(below: bound)) }, bound: bound)
    // Many equal keys, among them the largest: only stability decides.
    let few = (0..<4).map { _ in UInt32(draws.integer(below: bound)) } + [UInt32(bound - 1), 0]
    Self.check(sorter, (0..<count).map { _ in few[draws.integer(below: 6)] }, bound: bound)
  }

  @Test(arguments: [1, 2, 63, 64, 65, 129, 1000], [3, 5000])
  func keysThatAscendAlreadyAreGroupedAlike(count: Int, bound: Int) {
    var draws = Draws(seed: UInt64(count + bound))
    let sorter = SegmentSort(capacity: count)
    var keys = (0..<count).map { _ in UInt32(draws.integer(below: bound)) }.sorted()
    Self.check(sorter, keys, bound: bound)
    // One descent, at the very end.
    keys[count - 1] = 0
    Self.check(sorter, keys, bound: bound)
  }

  @Test func allKeysOf32BitsAreSorted() {
    var draws = Draws(seed: 4)
    let keys = (0..<500).map { _ in UInt32(truncatingIfNeeded: draws.word()) } + [.max, 0, .max]
    Self.check(SegmentSort(capacity: keys.count), keys, bound: 1 << 32)
  }

  @Test func aSorterKeepsNothingOfAnEarlierBatch() {
    let sorter = SegmentSort(capacity: 100)
    Self.check(sorter, (0..<100).map { UInt32(99 - $0) }, bound: 100)
    Self.check(sorter, [3, 1, 3], bound: 1 << 20)
    Self.check(sorter, [], bound: 5)
    Self.check(sorter, [UInt32](repeating: 7, count: 64), bound: 8)
  }

  @Test func moreKeysThanRoomAreRefused() async {
    await #expect(processExitsWith: .failure) {
      unsafe SegmentSort(capacity: 2).sort(
        AlignedBuffer<UInt32>(count: 3).pointer, count: 3, bound: 1)
    }
  }
}
