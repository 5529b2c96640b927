import Backbones
import Fabric
import Interactions
import Testing
import Training

/// Ranks that share item rows read them only when all owners have written.
///
/// Reading early gives the right bits most of the time, so this is not left to the bits.
@Suite struct SharedReadTests {
  @Test(arguments: Method.allCases, [2, 3])
  func nobodyReadsBetweenPublishingAndSettling(method: Method, ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method)
    for usesCopies in [false, true] {
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(usesCopies)")
      let ledgers = (0..<ranks).map { _ in ObservedGroup.Ledger() }
      _ = try LocalGroup.run(ranks: ranks) { group in
        let ledger = ledgers[group.rank]
        var run = run
        run.backbone = {
          let (factors, hasBiases) = (configuration.factors, configuration.biases)
          return usesCopies
            ? PlainFactorization(
              factors: factors, hasBiases: hasBiases, onRead: ledger.noteRead)
            : ObservedFactorization(
              factors: factors, hasBiases: hasBiases, onRead: ledger.noteRead)
        }
        return try run.train(on: ObservedGroup(group, ledger))
      }
      for (rank, ledger) in ledgers.enumerated() {
        #expect(ledger.earlyReads == 0, "rank \(rank) of \(ranks), \(ledger.reads) reads")
        #expect(ledger.reads > 10 && ledger.fences > 10)
      }
    }
  }
}
