import Fabric
import Testing

@Suite struct PartitionTests {
  @Test func offsetsAreTheSumsOfTheCountsBefore() {
    let partition = Partition(counts: [3, 0, 5, 1])
    #expect(partition.offsets == [0, 3, 3, 8])
    #expect(partition.total == 9)
    #expect((0..<4).map { partition.range(of: $0) } == [0..<3, 3..<3, 3..<8, 8..<9])
  }

  @Test func noPartsAndEqualParts() {
    #expect(Partition(counts: []).total == 0)
    #expect(Partition(parts: 3, of: 4) == Partition(counts: [4, 4, 4]))
    #expect(Partition(parts: 0, of: 4).total == 0)
  }

  @Test func settingNewLengthsIsLikeMakingAnew() {
    var partition = Partition(counts: [9, 9, 9])
    partition.set { 2 * $0 }
    #expect(partition == Partition(counts: [0, 2, 4]))
  }

  @Test func countsBeyond32BitsAreKept() {
    let large = Int(Int32.max) + 1
    #expect(Partition(counts: [large, large, 1]).offsets == [0, large, 2 * large])
  }

  @Test func negativeCountsStopTheProgram() async {
    await #expect(processExitsWith: .failure) { _ = Partition(counts: [1, -1]) }
    await #expect(processExitsWith: .failure) {
      var partition = Partition(counts: [1, 1])
      partition.set { -$0 }
    }
  }
}
