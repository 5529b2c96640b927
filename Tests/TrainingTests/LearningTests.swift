import Backbones
import Evaluation
import Fabric
import Interactions
import Kernels
import Testing
import Training

@Suite struct LearningTests {
  /// Pairs leave explicit negatives out, and what these logs teach is in them.
  private static let judging = Method.allCases.filter { $0 != .bpr }

  /// Users like items of their own parity; the diagonal was withheld and must come first among
  /// the user's withheld items.
  @Test(arguments: judging) func theWithheldDiagonalComesFirst(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.checkerboard().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.factors = 8
      $0.biases = false
      $0.epochs = 40
      $0.batch = 32
      $0.rate = 0.02
      $0.innerRate = 0.005
      // There is no noise to drop.
      $0.dropRate = 0.01
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let result = try run.train(ranks: 2)[0]
    #expect(result.test.users == 24)
    #expect(result.test.mrr == 1)
    #expect(result.test.gauc == 1)
  }

  @Test(arguments: judging) func aPerceptronLearnsTheCheckerboardToo(
    method: Method
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.checkerboard().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.epochs = 40
      $0.batch = 32
      $0.rate = 0.02
      $0.innerRate = 0.005
      // There is no noise to drop.
      $0.dropRate = 0.01
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run") {
      Perceptron(factors: 8, hidden: 16)
    }
    let result = try run.train(ranks: 1)[0]
    // A few weights for every pair do not find the parity as factors do, but chance is far away:
    // it puts the one positive anywhere among five, an area of ½ with a deviation of √2/4 a user.
    let chance = 0.5 + 4 * (0.125 / 24).squareRoot()
    #expect((result.test.gauc ?? 0) > chance)
  }

  /// The area under the curve of counting alone: user and item biases.
  private func baseline(_ dataset: Dataset) throws -> AreaUnderCurve {
    let group = SoloGroup()
    let shards = try (0..<dataset.shardCount).map { try dataset.shard($0) }
    let scorers = try BaselineScorers(
      training: shards.map {
        unsafe BaselineScorers.Rows(
          users: $0.train.users, items: $0.train.items, labels: $0.train.labels)
      }, userCount: dataset.users, itemCount: dataset.items, group: group)
    let scores = shards.map { AlignedBuffer<Float>(count: $0.test.count) }
    return try withExtendedLifetime((shards, scores)) {
      let scored = shards.indices.map { index in
        let test = shards[index].test
        for row in 0..<test.count {
          unsafe scores[index].pointer[row] = scorers.score(
            .biases, user: test.users[row], item: test.items[row])
        }
        return unsafe ScoredShard(
          shard: index, users: test.users, labels: test.labels,
          scores: UnsafeBufferPointer(scores[index].elements))
      }
      return try AreaUnderCurve.evaluate(scored, group: group)
    }
  }

  /// On the simulated feed, whose truth has biases and factors.
  @Test func theSimulatedFeedIsLearned() throws {
    let directory = try TemporaryDirectory()
    let feed = directory.path + "/feed"
    _ = try Synthesis.run(.quick, output: feed)
    let options = PreparationOptions(
      source: .split(
        train: feed + "/train.tsv", valid: feed + "/valid.tsv", test: feed + "/test.tsv"))
    _ = try Preparation.run(options, output: directory.path + "/data")
    let dataset = try Dataset.open(directory.path + "/data")
    let area = try baseline(dataset)
    let auc = try #require(area.value)
    // The variance of an estimated area A is at most A(1 − A) / min(n⁺, n⁻); three deviations of
    // the difference of two such, as if they were independent.
    let rows = Double(min(area.positives, area.negatives))
    let margin = 3 * (2 * auc * (1 - auc) / rows).squareRoot()
    let chance = 0.5 + 3 * (0.25 / rows).squareRoot()
    #expect(auc - margin > chance)
    for method in Self.judging {
      let configuration = TrainingConfiguration.brief(method) {
        $0.factors = 16
        $0.batch = 1024
        $0.epochs = 8
        $0.patience = 3
        $0.rate = 0.01
        $0.innerRate = 0.005
        $0.weightDecay = 1e-5
      }
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(method)")
      let learned = try #require(try run.train(ranks: 2)[0].test.auc)
      // To call every sampled item a negative costs what the method is there to save.
      let takesNegatives = [.negatives, .tce, .rce].contains(method)
      #expect(learned > (takesNegatives ? chance : auc - margin), "\(method): \(learned)")
    }
  }
}
