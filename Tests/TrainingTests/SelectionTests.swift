import Evaluation
import Fabric
import Foundation
import Interactions
import Storage
import Testing
import Training

/// Which epoch is the best, and what is reported beside.
@Suite struct SelectionTests {
  private static func configuration(
    _ select: String, _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> TrainingConfiguration {
    let criterion = try #require(BestEpoch.Criterion(rawValue: select))
    return .brief(.bce) {
      $0.epochs = 6
      $0.optimizer = .adam
      $0.select = criterion
      change(&$0)
    }
  }

  /// Seven shards' worth of users with 140 items: enough for 100 candidates.
  private static func wide() -> ToyLog {
    var log = ToyLog()
    for user in 0..<40 {
      var draws = Draws(seed: UInt64(user + 900))
      for item in 0..<140 where draws.integer(below: 100) < 22 {
        let likes = draws.integer(below: 10) < ((user + item) % 2 == 0 ? 8 : 2)
        let split = draws.integer(below: 10)
        log.add(user, item, likes ? 5 : 1, to: split == 0 ? .valid : split == 1 ? .test : .train)
      }
    }
    // Every item is known.
    for item in 0..<140 { log.add(99, item, 1 + item % 5) }
    return log
  }

  /// The best epoch has the largest figure; its record is what the model's evaluation says.
  @Test(arguments: [("ndcg@5", SelectionProtocol.full), ("hit-rate@7", .sampled), ("mrr", .full)])
  func aRankingFigureChoosesTheBestEpoch(
    select: String, selectProtocol: SelectionProtocol
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.wide().prepare(in: directory)
    let run = TrainingRun(
      try Self.configuration(select) { $0.selectProtocol = selectProtocol }, dataset,
      directory.path + "/run")
    let outcome = try run.outcome(ranks: 1, as: "p1")
    let figure = try #require(RankingFigure(rawValue: select))
    let values = try outcome.history.map { record in
      let ranking = try #require(record.valid?.ranking)
      #expect(ranking.protocol == selectProtocol.rawValue && ranking.mask == "train")
      #expect(record.test == nil)
      return try #require(figure.value(of: ranking.metrics))
    }
    #expect(Set(values).count > 1)
    let most = try #require(values.max())
    let best = try #require(values.firstIndex(of: most))
    #expect(outcome.result.bestEpoch == best + 1)
    #expect(outcome.result.valid == outcome.history[best].valid)
    #expect(outcome.result.test.ranking?.mask == "train,valid")
    let cutoffs = Set([10, 20] + [figure.cutoff ?? 10]).sorted()
    let evaluation = try RunEvaluation(
      RunDirectory(run.path + "-p1"), dataset: nil, group: SoloGroup()
    ) { _ in }
    let evaluated =
      selectProtocol == .full
      ? try evaluation.ranking(of: .valid, cutoffs: cutoffs, mask: .train)
      : try evaluation.ranking(
        of: .valid, cutoffs: cutoffs, mask: .train, sampling: CandidateSampling())
    #expect(outcome.result.valid.ranking?.metrics == evaluated)
    for ranks in [2, 3, 4] {
      let other = try run.outcome(ranks: ranks, as: "p\(ranks)")
      #expect(other.differences(from: outcome) == [])
    }
  }

  /// An epoch in between has no figures and is never the best; the patience counts evaluations.
  @Test func epochsBetweenEvaluationsAreNotJudged() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let every = try TrainingRun(
      try Self.configuration("auc"), dataset, directory.path + "/every"
    ).outcome(ranks: 1, as: "a")
    let some = try TrainingRun(
      try Self.configuration("auc") { $0.evaluateEvery = 4 }, dataset, directory.path + "/some"
    ).outcome(ranks: 2, as: "b")
    #expect(some.history.map { $0.valid == nil } == [true, true, true, false, true, true])
    #expect(some.history[3].valid == every.history[3].valid)
    #expect(some.history.map(\.isBest) == [false, false, false, true, false, false])
    #expect(some.result.bestEpoch == 4 && some.result.epochs == 6)
    #expect(some.files["model"] == every.files["model"])
    // With an absurd rate the first evaluation is the best, and the second ends the run.
    let stopped = try TrainingRun(
      try Self.configuration("loss") {
        $0.evaluateEvery = 2
        $0.patience = 1
        $0.epochs = 40
        $0.rate = 0.5
      }, dataset, directory.path + "/stopped"
    ).outcome(ranks: 1, as: "c")
    let count = stopped.history.count
    #expect(count % 2 == 0 && count < 40 && stopped.result.bestEpoch == count - 2)
  }

  /// Reports change no bytes and no choice.
  @Test(arguments: TestReport.allCases) func reportsDecideNothing(report: TestReport) throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.wide().prepare(in: directory)
    let lists = try directory.write(
      (0..<40).map { "(u\($0),i\($0 % 7))\ti20\ti30\ti40\ti50\n" }.joined(), to: "lists")
    let plain = try TrainingRun(
      try Self.configuration("auc"), dataset, directory.path + "/plain"
    ).outcome(ranks: 1, as: "a")
    let run = TrainingRun(
      try Self.configuration("auc") {
        $0.reportTest = report
        $0.lists = report == .lists ? lists : nil
        $0.evaluateEvery = 2
      }, dataset, directory.path + "/reported")
    let alone = try run.outcome(ranks: 1, as: "p1")
    #expect(alone.files["model"] == plain.files["model"])
    for (epoch, record) in alone.history.enumerated() {
      guard epoch % 2 == 1 else {
        #expect(record.test == nil)
        continue
      }
      let test = try #require(record.test)
      #expect(test.auc != nil && record.valid?.ranking == nil)
      #expect(test.ranking?.protocol == (report == .labeled ? nil : report.rawValue))
      #expect(test.ranking?.mask == (report == .labeled || report == .lists ? nil : "train,valid"))
      if let ranking = test.ranking { #expect(ranking.metrics.figures.keys.sorted() == [10, 20]) }
    }
    #expect(alone.result.test == alone.history[alone.result.bestEpoch - 1].test)
    for ranks in [2, 3, 4] {
      #expect(try run.outcome(ranks: ranks, as: "p\(ranks)").differences(from: alone) == [])
    }
  }

  @Test func aStoppedRunGoesOnToTheSameFigures() throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.wide().prepare(in: directory)
    let run = TrainingRun(
      try Self.configuration("recall@3") {
        $0.evaluateEvery = 2
        $0.reportTest = .sampled
      }, dataset, directory.path + "/run")
    let whole = try run.outcome(ranks: 2, as: "whole")
    var parts = run
    parts.path += "-parts"
    parts.stop(ranks: 3, after: 7, resuming: false)
    parts.stop(ranks: 1, after: 20, resuming: true)
    #expect(try parts.finish(ranks: 2).differences(from: whole) == [])
  }

  /// Nothing to choose by: the last epoch is kept, and the patience never ends.
  @Test(arguments: [1, 4]) func withoutValidTheLastEpochIsKept(checkpointEpochs: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory).withoutValid()
    #expect(dataset.validRows == 0)
    let run = TrainingRun(
      try Self.configuration("auc") {
        $0.patience = 1
        $0.checkpointEpochs = checkpointEpochs
        $0.reportTest = .labeled
      }, dataset, directory.path + "/run")
    let alone = try run.outcome(ranks: 1, as: "p1")
    #expect(alone.result.bestEpoch == 6 && alone.history.count == 6)
    #expect(alone.history.allSatisfy { $0.isBest && $0.valid == nil && $0.test?.auc != nil })
    #expect(alone.files["best"] == alone.files["model"])
    #expect(alone.result.valid.rows == 0 && alone.result.valid.auc == nil)
    #expect(alone.result.test == alone.history[5].test)
    #expect(try run.outcome(ranks: 3, as: "p3").differences(from: alone) == [])
    var parts = run
    parts.path += "-parts"
    parts.stop(ranks: 2, after: 11, resuming: false)
    #expect(try parts.finish(ranks: 1).differences(from: alone) == [])
  }

  @Test func impossibleChoicesAreRefused() throws {
    func refusal(_ select: String, _ change: (inout TrainingConfiguration) -> Void) throws
      -> String?
    {
      let configuration = try Self.configuration(select, change)
      return failure { try configuration.validate() }?.message
    }
    #expect(try refusal("recall@20") { _ in } == nil)
    #expect(
      try refusal("recall@10001") { _ in } == "--select recall@10001: must be at most @10000")
    #expect(
      try refusal("auc") { $0.evaluateEvery = 0 }
        == "--evaluate-every 0: must be at least 1 and at most the epochs, 6")
    #expect(try refusal("auc") { $0.evaluateEvery = 7 }?.hasPrefix("--evaluate-every 7: ") == true)
    let both = "--lists FILE and --report-test lists belong together: give both or none"
    #expect(try refusal("auc") { $0.reportTest = .lists } == both)
    #expect(try refusal("auc") { $0.lists = "x" } == both)
  }

  /// Sampling is refused before the first step, not after the first epoch.
  @Test func tooFewItemsForSamplingAreRefusedAtTheStart() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(
      try Self.configuration("ndcg@5") { $0.selectProtocol = .sampled }, dataset,
      directory.path + "/run")
    #expect(
      failure { try run.train(ranks: 1) }
        == .usage(
          "100 candidates beside the relevant item, but \(dataset.directory) has 29 items; "
            + "ask for fewer"))
    #expect(!run.directory.exists)
  }
}

extension Dataset {
  /// The same dataset with no rows of valid: its files are changed.
  fileprivate func withoutValid() throws -> Dataset {
    let path = "\(directory)/dataset.json"
    var manifest = manifest
    // The XXH64 of nothing.
    let empty = try JSONDecoder().decode(
      ColumnManifest.self, from: Data(#"{"bytes": 0, "xxh64": "ef46db3751d8e999"}"#.utf8))
    for shard in manifest.shards.indices {
      manifest.shards[shard].validRows = 0
      for column in [Column.validUsers, .validItems, .validLabels] {
        manifest.shards[shard].columns[column.rawValue] = empty
        let digits = "000\(shard)".suffix(4)
        try Files.replace("\(directory)/shards/\(digits)/\(column.rawValue)", with: [])
      }
    }
    manifest.fingerprint = manifest.computedFingerprint()
    try Files.replace(path, with: [UInt8](try JSONEncoder().encode(manifest)))
    return try Dataset.open(directory)
  }
}
