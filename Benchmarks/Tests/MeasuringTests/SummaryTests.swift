import Measuring
import Storage
import Testing

@Suite struct SummaryTests {
  @Test(arguments: zip([[3.0], [1, 9], [9, 1, 4], [4, 1, 2, 100]], [3.0, 5, 4, 3]))
  func medianOfSamples(samples: [Double], median: Double) {
    #expect(Summary(samples).median == median)
  }

  @Test func extremesAndOrderAreKept() {
    let summary = Summary([5, 2, 8])
    #expect(summary.samples == [5, 2, 8])
    #expect(summary.minimum == 2)
    #expect(summary.maximum == 8)
  }

  @Test func ratiosPairRounds() {
    // The second round was twice as slow for both: the ratio does not see it.
    let ratio = Summary([10, 5]).ratio(to: Summary([4, 2]))
    #expect(ratio == Summary([2.5, 2.5]))
  }

  @Test func contendersTakeTurnsAndSwapPlaces() {
    var order: [Int] = []
    let summaries = Rounds.measure(
      3,
      (0..<2).map { contender in
        {
          order.append(contender)
          return Double(order.count)
        }
      })
    #expect(order == [0, 1, 1, 0, 0, 1])
    #expect(summaries.map(\.samples) == [[1, 4, 5], [2, 3, 6]])
  }

  @Test func failuresOfContendersPassThrough() {
    let broken: [() throws -> Double] = [{ 1 }, { throw Failure.data("broken") }]
    #expect(throws: Failure.data("broken")) { try Rounds.measure(2, broken) }
  }

  @Test func processorTimeOfWorkIsPositiveAndPerCall() {
    var calls = 0
    var sink = 0
    let seconds = ProcessorClock.secondsPerCall(atLeast: 0.001) {
      calls += 1
      for index in 0..<1000 { sink &+= index ^ calls }
    }
    #expect(seconds > 0)
    #expect(calls > 1)
    #expect(sink != 0)
  }
}
