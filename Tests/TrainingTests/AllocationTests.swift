import Fabric
import Interactions
import Kernels
import Sharding
import TestSupport
import Testing
import Training

/// A step finds all its memory where the step before left it.
@Suite(
  .enabled(
    if: countsAllocations && isOptimized,
    "counted where the C library lets its allocator be counted, in release builds"))
struct AllocationTests {
  /// The allocations of each step of the second epoch.
  private static func counts(
    _ dataset: Dataset, _ configuration: TrainingConfiguration
  ) throws -> [Int] {
    try counts(dataset, configuration, on: UncountedGroup(SoloGroup()))
  }

  /// The same of one rank of several.
  private static func counts(
    _ dataset: Dataset, _ configuration: TrainingConfiguration, on group: UncountedGroup
  ) throws -> [Int] {
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: group.size)
    let context = JobContext(group: group, tree: tree, configuration: configuration)
    let model = try Model(configuration, dataset: dataset, context: context)
    let (loader, stepCount) = try rows(configuration, dataset, context)
    let schedule = StepSchedule(configuration, model: model, source: loader, context: context)
    var counts: [Int] = []
    counts.reserveCapacity(2 * stepCount)
    for number in 0..<2 * stepCount {
      let rule = schedule.rule(for: number)
      let position = StepPosition(
        epoch: number / stepCount, step: number % stepCount, number: number)
      let before = allocationCount - group.ledger.allocations
      _ = try rule.step(position, isStopRequested: false)
      counts.append(allocationCount - group.ledger.allocations - before)
    }
    #expect(stepCount > 3)
    return Array(counts.dropFirst(stepCount))
  }

  private static func rows(
    _ configuration: TrainingConfiguration, _ dataset: Dataset, _ context: JobContext
  ) throws -> (any RowSource, stepCount: Int) {
    guard let length = configuration.resolvedSequenceLength else {
      let loader = try BatchLoader(configuration, dataset: dataset, context: context)
      return (loader, loader.stepCount)
    }
    let loader = try SequenceLoader(
      configuration, length: length, dataset: dataset, context: context)
    return (loader, loader.stepCount)
  }

  @Test(arguments: Method.allCases, OptimizerName.allCases)
  func stepsAllocateNothing(method: Method, optimizer: OptimizerName) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    for reduction in [Reduction.ordered, .native] {
      for biases in [false, true] {
        let configuration = TrainingConfiguration.brief(method) {
          $0.optimizer = optimizer
          $0.reduction = reduction
          $0.biases = biases
          $0.factors = biases ? 10 : 32
          $0.innerStep = biases ? .sign : .gradient
          $0.rowDecay = biases ? 0.01 : 0
        }
        let counts = try Self.counts(dataset, configuration)
        #expect(counts.allSatisfy { $0 == 0 }, "\(reduction), biases \(biases): \(counts)")
      }
    }
  }

  /// Nor does a backbone with layers, which leave activations behind.
  @Test(arguments: [BackboneName.mlp, .neumf, .sasrec], Method.allCases)
  func layersAllocateNothing(backbone: BackboneName, method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(
      in: directory, sequences: backbone == .sasrec)
    let counts = try Self.counts(dataset, .small(backbone, method))
    #expect(counts.allSatisfy { $0 == 0 }, "\(counts)")
  }

  /// Nor one that propagates, on any number of ranks.
  @Test(arguments: BackboneName.graphModels, Method.allCases)
  func propagationAllocatesNothing(backbone: BackboneName, method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    for reduction in [Reduction.ordered, .native] {
      var configuration = TrainingConfiguration.small(backbone, method)
      configuration.reduction = reduction
      for ranks in [1, 3] {
        let counts = try LocalGroup.run(ranks: ranks) { [configuration] in
          try Self.counts(dataset, configuration, on: UncountedGroup($0))
        }
        #expect(
          counts.joined().allSatisfy { $0 == 0 }, "\(reduction), \(ranks) ranks: \(counts)")
      }
    }
  }

  /// Nor where the number of unlabeled rows has to be counted, or rows are exposures.
  @Test(
    arguments: [Method.negatives, .idl, .ig, .tce, .rce, .bpr],
    [UnlabeledSource.sampled, .exposures])
  func countingUnlabeledRowsAllocatesNothing(method: Method, source: UnlabeledSource) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven(withOmnivore: true).prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.unlabeledSource = source
      $0.unlabeledPerLabeled = 3
    }
    let counts = try Self.counts(dataset, configuration)
    #expect(counts.allSatisfy { $0 == 0 }, "\(counts)")
  }

  /// Nor on several ranks, wherever they are, but for what the group itself asks for.
  @Test(arguments: Method.allCases, Placement.allCases)
  func severalRanksAllocateNothing(method: Method, placement: Placement) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) { $0.tables = placement.tables }
    for ranks in [2, 3] {
      let counts = try LocalGroup.run(ranks: ranks, ranksPerMachine: placement.ranksPerMachine) {
        try Self.counts(dataset, configuration, on: UncountedGroup($0))
      }
      #expect(counts.joined().allSatisfy { $0 == 0 }, "\(ranks) ranks: \(counts)")
    }
  }

  /// Nor where plain steps take turns with those of the inverse gradient.
  @Test func aScheduleAllocatesNothing() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(.ig) { $0.innerShare = 0.5 }
    let counts = try Self.counts(dataset, configuration)
    #expect(counts.allSatisfy { $0 == 0 }, "\(counts)")
  }
}

/// Whether the optimizer, which decides what is allocated, was at work.
private let isOptimized: Bool = {
  var isChecked = false
  assert(
    {
      isChecked = true
      return true
    }())
  return !isChecked
}()
