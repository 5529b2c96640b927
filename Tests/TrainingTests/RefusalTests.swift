import Fabric
import Interactions
import Kernels
import Storage
import Testing
import Training

@Suite struct RefusalTests {
  /// What every rank throws.
  private func failures(
    _ run: TrainingRun, ranks: Int, _ placement: Placement = .shared, isResuming: Bool = false
  ) throws -> [Failure?] {
    try LocalGroup.run(ranks: ranks, ranksPerMachine: placement.ranksPerMachine) { group in
      failure { _ = try run.train(on: group, isResuming: isResuming) }
    }
  }

  @Test func otherOptionsDoNotResume() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(.brief(.ig), dataset, "\(directory.path)/run")
    _ = failure { try run.train(ranks: 2, stopAfter: 2) }
    let configuration = run.configuration
    let changes: [(String, (inout TrainingConfiguration) -> Void)] = [
      ("--rate 0.05, not 0.1", { $0.rate = 0.1 }),
      ("--method ig, not idl", { $0.method = .idl }),
      ("--biases true, not false", { $0.biases = false }),
      ("--seed 1, not 2", { $0.seed = 2 }),
      ("--inner-step sign, not gradient", { $0.innerStep = .gradient }),
      ("--reduction ordered, not native", { $0.reduction = .native }),
    ]
    for (difference, change) in changes {
      run.configuration = configuration
      change(&run.configuration)
      let expected = Failure.usage(
        "--resume: \(run.path) was started with \(difference); "
          + "repeat its options or choose another --output")
      #expect(try failures(run, ranks: 3, isResuming: true) == [expected, expected, expected])
    }
  }

  @Test func anotherDatasetDoesNotResume() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let other = try ToyLog.uneven(withOmnivore: true).prepare(in: directory, as: "other")
    var run = TrainingRun(.brief(.bce), dataset, "\(directory.path)/run")
    _ = failure { try run.train(ranks: 2, stopAfter: 2) }
    run.dataset = other
    let expected = Failure.data(
      "--resume: \(run.path) was trained on \(dataset.directory), whose content differs from "
        + "\(other.directory); resume with that dataset")
    #expect(try failures(run, ranks: 2, isResuming: true) == [expected, expected])
  }

  @Test func anExistingRunIsNotOverwritten() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.brief(.bce) { $0.epochs = 1 }, dataset, "\(directory.path)/run")
    let outcome = try run.train(ranks: 1)
    let before = try Files.read(run.directory.configurationPath)
    let failure = failure { try run.train(ranks: 3) }
    #expect(
      failure
        == .usage(
          "\(run.path) already holds a run or other files; add --resume to go on with it, "
            + "or choose another --output"))
    #expect(try Files.read(run.directory.configurationPath) == before)
    #expect(try run.directory.result() == outcome[0])
  }

  @Test func moreRanksThanShardsAreRefused() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, shards: 4)
    let run = TrainingRun(.brief(.bce), dataset, "\(directory.path)/run")
    let expected = Failure.usage(
      "5 ranks but \(dataset.directory) has 4 shards: start at most 4 ranks, or prepare the "
        + "dataset with more --shards")
    #expect(try failures(run, ranks: 5) == [Failure?](repeating: expected, count: 5))
    #expect(!run.directory.exists)
  }

  @Test func impossibleOptionsAreRefusedBeforeAnythingIsWritten() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.brief(.ig) { $0.batch = 0 }, dataset, "\(directory.path)/run")
    let expected = Failure.usage("--batch 0: must be in 1 ... 16777216")
    #expect(try failures(run, ranks: 2) == [expected, expected])
    #expect(!run.directory.exists)
  }

  /// Every rank stops by itself, at the same step, with the same words.
  @Test(arguments: Method.allCases, Placement.allCases)
  func aLossThatIsNotFiniteEndsTheRun(method: Method, placement: Placement) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let configuration = TrainingConfiguration.brief(method) {
      $0.rate = 1e30
      $0.innerRate = 1e30
      $0.tables = placement.tables
    }
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let failures = try failures(run, ranks: 3, placement)
    let first = try #require(failures[0])
    #expect(failures == [first, first, first])
    #expect(first.kind == .software)
    #expect(first.message.contains(" in epoch 1, step "))
    #expect(
      first.message.hasSuffix(
        "; lower --rate, --inner-rate or --weight-decay, or add --on-nonfinite skip-step"))
  }
}
