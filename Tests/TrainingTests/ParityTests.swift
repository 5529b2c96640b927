import Backbones
import Fabric
import Interactions
import Kernels
import Testing
import Training

/// The same bytes for every number of ranks, wherever they and the item rows are.
@Suite struct ParityTests {
  @Test(arguments: Method.allCases) func everyNumberOfRanksGivesTheSameFiles(
    method: Method
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.epochs = 2
      $0.rowDecay = 0.05
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    #expect(alone.isUnanimous && alone.history.count == 2)
    #expect(alone.result.steps == 2 * ((dataset.trainRows + 49) / 50))
    for ranks in [1, 2, 3, 4, 5, 7] {
      for placement in Placement.all(ranks: ranks) {
        let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
      }
    }
  }

  /// Ranks of a machine need not follow each other, nor machines have as many.
  @Test(
    arguments: Method.allCases,
    [[0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0, 2], [0, 1, 2, 1, 2, 2, 0, 1]])
  func anyMachinesGiveTheSameFiles(method: Method, machines: [Int]) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) { $0.epochs = 2 }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    for tables in [TablePlacement.replicated, .sharded] {
      var placed = run
      placed.configuration.tables = tables
      let other = try placed.outcome(machines: machines, as: "\(tables)")
      #expect(other.differences(from: alone) == [], "\(tables)")
    }
  }

  @Test(arguments: Method.allCases, OptimizerName.allCases)
  func everyOptimizerAndWidthGivesTheSameFiles(method: Method, optimizer: OptimizerName) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    for biases in [false, true] {
      for factors in [8, 10] {
        let configuration = TrainingConfiguration.brief(method) {
          $0.optimizer = optimizer
          $0.biases = biases
          $0.factors = factors
          $0.epochs = 1
          $0.innerStep = biases ? .gradient : .sign
          $0.rowDecay = biases ? 0 : 0.1
          $0.outputWeights = factors == 8 ? .ones : .trained
        }
        let name = "\(biases)-\(factors)"
        let run = TrainingRun(configuration, dataset, "\(directory.path)/\(name)")
        let alone = try run.outcome(ranks: 1, as: "1")
        for placement in [Placement.shared, .sharded] {
          let other = try run.outcome(ranks: 3, at: placement, as: "\(placement)")
          #expect(other.differences(from: alone) == [], "\(name), \(placement)")
        }
      }
    }
  }

  /// Users without an unlabeled item make the number of unlabeled rows a matter of all ranks.
  @Test(
    arguments: [Method.negatives, .idl, .ig, .tce, .rce, .bpr],
    [UnlabeledSource.sampled, .exposures])
  func usersWithoutUnlabeledItemsAreNoObstacle(method: Method, source: UnlabeledSource) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.unlabeledSource = source
      $0.unlabeledPerLabeled = 3
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    let unlabeled = try #require(
      method == .bpr ? alone.history[0].labeledLoss : alone.history[0].unlabeledLoss)
    #expect(unlabeled > 0 && unlabeled.isFinite)
    let places: [(Int, Placement)] = [
      (2, .sharded), (3, .replicated), (7, .shardedPairs), (2, .shared), (5, .shared),
    ]
    for (ranks, placement) in places {
      let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
      #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
    }
  }

  /// Without any unlabeled row a step is that of the labeled rows alone.
  @Test(arguments: [Method.negatives, .idl, .ig])
  func withoutUnlabeledRowsAllMethodsAreTheSame(method: Method) throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    for user in 0..<6 {
      for item in 0..<6 { log.add(user, item, (user + item) % 2 == 0 ? 5 : 1) }
    }
    for item in 0..<6 {
      log.add(90, item, item % 2 == 0 ? 5 : 1, to: .valid)
      log.add(91, item, item % 2 == 0 ? 5 : 1, to: .test)
    }
    let dataset = try log.prepare(in: directory, shards: 4)
    var files: [[String: [UInt8]]] = []
    for method in [Method.bce, method] {
      let configuration = TrainingConfiguration.brief(method) { $0.batch = 7 }
      let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
      let outcome = try run.outcome(ranks: 3, as: method.rawValue)
      #expect(outcome.history[0].unlabeledLoss == nil)
      #expect(outcome.result.decisions.direct + outcome.result.decisions.inverse == 0)
      files.append(outcome.files)
    }
    #expect(files[0]["model"] == files[1]["model"])
  }

  /// Batches smaller than the number of shards leave ranks, and whole steps, without rows.
  @Test(arguments: [Method.idl, .ig, .tce, .bpr]) func stepsMayBeEmpty(method: Method) throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    for (user, item) in [(0, 0), (1, 1), (2, 0), (3, 2), (4, 1)] {
      log.add(user, item, user % 2 == 0 ? 5 : 1)
    }
    for item in 0..<4 {
      log.add(item, 7, 1 + 4 * (item % 2), to: .valid)
      log.add(item, 8, 1 + 4 * (item % 2), to: .test)
    }
    let dataset = try log.prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) { $0.batch = 1 }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "alone")
    for ranks in [3, 8] {
      for placement in Placement.all(ranks: ranks) {
        let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
      }
    }
  }

  /// A share of the steps is plain; the schedule goes by steps of the whole run.
  @Test func aScheduleTakesTurns() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(.ig) {
      $0.innerShare = 0.25
      $0.batch = 30
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let alone = try run.outcome(ranks: 1, as: "1")
    let decisions = alone.result.decisions
    #expect(decisions.direct + decisions.none + decisions.inverse == alone.result.steps / 4)
    for placement in [Placement.shared, .sharded] {
      let other = try run.outcome(ranks: 3, at: placement, as: "\(placement)")
      #expect(other.differences(from: alone) == [], "\(placement)")
    }
  }

  /// Nothing is promised of the last digits, but ranks agree and the figures are close.
  @Test(arguments: Method.allCases) func nativeReductionRuns(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) { $0.epochs = 1 }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/ordered")
    let ordered = try run.outcome(ranks: 3, as: "3")
    var native = TrainingRun(configuration, dataset, "\(directory.path)/native")
    native.configuration.reduction = .native
    for ranks in [1, 3] {
      for placement in Placement.all(ranks: ranks) {
        let outcome = try native.outcome(
          ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(outcome.isUnanimous)
        let (loss, other) = (outcome.history[0].labeledLoss, ordered.history[0].labeledLoss)
        // Sums differ in the last of 24 bits. Adam and a sign step can turn that into a whole
        // step of one parameter near zero, 0.05 at most; the loss, of slope ≤ 1, moves with it.
        #expect(abs((loss ?? .nan) - (other ?? .nan)) < 0.05)
      }
    }
  }
}
