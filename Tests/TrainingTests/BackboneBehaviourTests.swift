import Backbones
import Fabric
import Interactions
import Kernels
import Sharding
import Testing
import Training

/// What every backbone must do, whatever a score reads.
@Suite struct BackboneBehaviourTests {
  /// The diagonal was withheld and must be recommended.
  @Test(arguments: BackboneName.allCases, Method.allCases)
  func theWithheldDiagonalIsRecommended(backbone: BackboneName, method: Method) throws {
    // Pairs do not tell labeled negatives from items nobody has met, and two thirds of those are liked:
    // only the graph still shows the pattern.
    if method == .bpr && !BackboneName.graphModels.contains(backbone) { return }
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.checkerboard().prepare(
      in: directory, sequences: backbone == .sasrec)
    let configuration = TrainingConfiguration.learning(backbone, method)
    let result = try TrainingRun(configuration, dataset, "\(directory.path)/run")
      .train(ranks: 2)[0]
    #expect(result.test.users == 24)
    // Chance puts the one positive anywhere among five, an area of ½ with a deviation of √2/4 a
    // user. Layers find the parity of most pairs, factors that of all.
    let chance = 0.5 + 4 * (0.125 / 24).squareRoot()
    #expect((result.test.gauc ?? 0) > chance)
    if backbone == .gmf { #expect(result.test.mrr == 1) }
  }

  @Test(arguments: BackboneName.allCases, Method.allCases)
  func everyNumberOfRanksGivesTheSameFiles(backbone: BackboneName, method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(
      in: directory, sequences: backbone == .sasrec)
    let run = TrainingRun(.small(backbone, method), dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    for ranks in 1...4 {
      for placement in Placement.all(ranks: ranks) {
        let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
      }
    }
  }

  /// Nothing is promised of the last digits, but ranks agree and the figures are close.
  @Test(arguments: BackboneName.graphModels) func nativeReductionRuns(
    backbone: BackboneName
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var configuration = TrainingConfiguration.small(backbone, .idl)
    configuration.epochs = 1
    let ordered = try TrainingRun(configuration, dataset, "\(directory.path)/ordered")
      .outcome(ranks: 1, as: "1")
    configuration.reduction = .native
    let run = TrainingRun(configuration, dataset, "\(directory.path)/native")
    for ranks in [1, 3] {
      for placement in [Placement.shared, .sharded] {
        let outcome = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(outcome.isUnanimous)
        let (loss, other) = (outcome.history[0].labeledLoss, ordered.history[0].labeledLoss)
        // As in ParityTests: Adam may turn the last digit of a gradient into a step.
        #expect(abs((loss ?? .nan) - (other ?? .nan)) < 0.05)
      }
    }
  }

  /// Where weights and moments lie in memory decides nothing, nor where they lay before a stop.
  @Test(arguments: BackboneName.allCases, [OptimizerName.adam, .adagrad])
  func rowsMayLieSideBySide(backbone: BackboneName, optimizer: OptimizerName) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, sequences: backbone == .sasrec)
    var configuration = TrainingConfiguration.small(backbone, .ig)
    configuration.optimizer = optimizer
    configuration.weightDecay = 0.01
    var run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    run.rows = .apart
    let apart = try run.outcome(ranks: 1, as: "apart")
    run.stop(ranks: 1, after: 4, resuming: false)
    run.rows = .sideBySide
    #expect(try run.outcome(ranks: 1, as: "beside").differences(from: apart) == [])
    #expect(try run.outcome(ranks: 3, at: .sharded, as: "ranks").differences(from: apart) == [])
    #expect(try run.outcome(ranks: 2, as: "shared").differences(from: apart) == [])
    #expect(try run.finish(ranks: 1).differences(from: apart) == [])
  }

  /// Stopped in the middle of an epoch and resumed on other ranks.
  @Test(arguments: BackboneName.allCases) func aResumedRunGivesTheSameFiles(
    backbone: BackboneName
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(
      in: directory, sequences: backbone == .sasrec)
    let run = TrainingRun(.small(backbone, .ig), dataset, "\(directory.path)/run")
    let undisturbed = try run.outcome(ranks: 1, as: "undisturbed")
    run.stop(ranks: 3, after: 4, resuming: false)
    run.stop(ranks: 1, after: 3, resuming: true)
    #expect(try run.finish(ranks: 2).differences(from: undisturbed) == [])
  }

  /// A batch smaller than the number of shards leaves shards without rows, and sums with zeros.
  @Test(arguments: BackboneName.allCases) func microbatchesMayBeEmpty(
    backbone: BackboneName
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(
      in: directory, sequences: backbone == .sasrec)
    var configuration = TrainingConfiguration.small(backbone, .ig)
    configuration.batch = 3
    configuration.epochs = 1
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    let others = try run.outcome(ranks: 4, at: .sharded, as: "others")
    #expect(others.differences(from: alone) == [])
  }

  /// A row of a batch has one score, whatever the other rows are.
  @Test(arguments: BackboneName.allCases) func neighboursDoNotChangeAScore(
    backbone: BackboneName
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(
      in: directory, shards: 1, sequences: backbone == .sasrec)
    let configuration = TrainingConfiguration.small(backbone, .bce)
    let context = JobContext(
      group: SoloGroup(), tree: ShardTree(shardCount: 1, rankCount: 1),
      configuration: configuration)
    let model = try Model(configuration, dataset: dataset, context: context)
    let scorer = Scorer(model: model, dataset: dataset, context: context)
    func scores(_ pairs: [(user: UInt32, item: UInt32)]) throws -> [Float] {
      let scores = AlignedBuffer<Float>(count: pairs.count)
      let (users, items) = (pairs.map(\.user), pairs.map(\.item))
      unsafe try users.withUnsafeBufferPointer { users in
        unsafe try items.withUnsafeBufferPointer { items in
          unsafe try scorer.score(
            [Scorer.UserItemRows(users: users, items: items)], into: scores.pointer)
        }
      }
      return withExtendedLifetime(scores) { unsafe Array(scores.elements) }
    }
    let pairs = (0..<60).map { (user: UInt32($0 % dataset.users), item: UInt32($0 * 7 % 29)) }
    let all = try scores(pairs)
    #expect(try scores(pairs) == all)
    // In the other order, every row is at another place of a batch as large.
    #expect(Array(try scores(pairs.reversed()).reversed()) == all)
    // Users who liked nothing have one score for all items.
    #expect(Set(all).count > (backbone == .sasrec ? 30 : 50))
  }
}

extension BackboneName {
  /// Families that propagate.
  static let graphModels: [Self] = [.lightgcn, .ngcf, .pinsage]
}

extension TrainingConfiguration {
  /// A run of a few steps.
  static func small(_ backbone: BackboneName, _ method: Method) -> Self {
    .brief(method) {
      $0.backbone = backbone
      if backbone == .sasrec {
        ($0.batch, $0.blocks, $0.heads, $0.sequenceLength, $0.dropout) = (7, 2, 2, 6, 0.25)
      }
      $0.factors = backbone == .gmf ? 10 : 8
      $0.biases = backbone == .gmf
      $0.layers = backbone.standardLayers == nil ? nil : 2
      $0.rate = backbone == .gmf ? 0.05 : 0.01
      if BackboneName.graphModels.contains(backbone) { $0.rowDecay = 0.05 }
      if backbone == .lightgcn { $0.factors = 10 }
      if backbone == .ngcf { ($0.factors, $0.dropout, $0.nodeDropout) = (10, 0.2, 0.1) }
      if backbone == .pinsage { ($0.neighbours, $0.walks, $0.walkLength) = (4, 10, 2) }
    }
  }

  /// A run that finds the pattern of a checkerboard.
  static func learning(_ backbone: BackboneName, _ method: Method) -> Self {
    .brief(method) {
      $0.backbone = backbone
      $0.biases = false
      $0.batch = 32
      // In a clean log the dearest positives are those that are not learned yet.
      $0.dropSteps = 10_000
      switch backbone {
      case .gmf: ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (8, 40, 0.02, 0.005)
      case .mlp:
        // Wide rather than deep: parity is a matter of products, which layers must first build.
        ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (128, 60, 0.005, 0.0005)
        $0.layers = 1
      case .neumf:
        ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (8, 60, 0.01, 0.005)
        $0.layers = 2
      case .lightgcn, .ngcf:
        ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (8, 40, 0.02, 0.005)
        $0.layers = 2
      case .pinsage:
        ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (16, 60, 0.01, 0.002)
        // With the usual power r-ce stops short of the pattern.
        $0.reweightPower = 0.1
      case .sasrec:
        ($0.factors, $0.epochs, $0.rate, $0.innerRate) = (32, 80, 0.005, 0.0005)
        ($0.batch, $0.blocks, $0.sequenceLength, $0.dropout) = (6, 1, 8, 0.1)
      }
    }
  }
}
