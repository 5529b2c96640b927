import Backbones
import Fabric
import Foundation
import Interactions
import Storage
import Testing
import Training

/// Numbers that are not finite end a run within a step, or cost it the step, on all ranks alike.
@Suite struct NonfiniteTests {
  static let advice =
    "; lower --rate, --inner-rate or --weight-decay, or add --on-nonfinite skip-step"

  /// Trains with a fault; returns what each rank threw, and how many steps it began.
  private func train(
    _ run: TrainingRun, _ fault: FaultyBackbone.Fault, ranks: Int, _ placement: Placement = .shared,
    isResuming: Bool = false
  ) throws -> [(failure: Failure?, steps: Int)] {
    try LocalGroup.run(ranks: ranks, ranksPerMachine: placement.ranksPerMachine) { group in
      let backbone = FaultyBackbone(fault)
      var run = run
      run.configuration.tables = placement.tables
      run.backbone = { backbone }
      let failure = failure {
        _ = try run.train(on: group, isResuming: isResuming, beforeStep: { backbone.step += 1 })
      }
      return (failure, backbone.step)
    }
  }

  private static func configuration(
    _ method: Method, _ optimizer: OptimizerName = .adam, skipping: Bool = false
  ) -> TrainingConfiguration {
    .brief(method) {
      $0.optimizer = optimizer
      $0.checkpointEvery = 1
      $0.keep = 99
      if skipping { $0.onNonfinite = .skipStep }
    }
  }

  // MARK: Stop

  /// Whatever goes astray, the next step changes nothing any more, and the message says the same
  /// for every number of ranks.
  @Test(
    arguments: OptimizerName.allCases, [FaultyBackbone.Place.users, .items, .dense])
  func aBadGradientStopsTheRun(optimizer: OptimizerName, place: FaultyBackbone.Place) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let item = try dataset.itemIdentifiers().externalIdentifier(of: 3)
    for value in [Float.nan, .infinity, -.infinity, 1e25] {
      // A finite step, and a large one: the next loss tells.
      if optimizer == .sgd && value == 1e25 { continue }
      let fault = FaultyBackbone.Fault(place: place, value: value, steps: 3...3)
      var messages: Set<String> = []
      for (ranks, placement) in Self.groups {
        let run = TrainingRun(
          Self.configuration(.negatives, optimizer), dataset,
          "\(directory.path)/\(ranks)-\(placement)-\(value)")
        let ends = try train(run, fault, ranks: ranks, placement)
        for end in ends {
          #expect(end.failure?.kind == .software)
          #expect(end.failure?.message.contains(" in epoch 1, step 3;") == true)
          #expect(end.steps == 3, "found before the checkpoint after the step")
          messages.insert(end.failure?.message ?? "")
        }
        let names = try Files.names(in: run.directory.checkpointsPath)
        #expect(names.contains("step-000000000002") && !names.contains("step-000000000003"))
      }
      let message = try #require(messages.first)
      #expect(messages.count == 1 && message.hasSuffix(Self.advice), "\(messages)")
      switch place {
      case .items: #expect(message.hasPrefix("item.") && message.contains("item '\(item)'"))
      case .users: #expect(message.hasPrefix("user.") && message.contains("user 'u"))
      case .dense: #expect(message.hasPrefix("output.weight") && message.contains("[4"))
      case .score: break
      }
    }
  }

  static let groups: [(Int, Placement)] = [
    (1, .shared), (2, .shared), (3, .replicated), (3, .sharded), (4, .replicatedPairs),
  ]

  /// Without a checkpoint right after the step it is the next step that hears of it.
  @Test(arguments: Method.allCases) func theNextStepHearsOfABadOne(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var messages: Set<String> = []
    for (ranks, placement) in Self.groups {
      var configuration = Self.configuration(method)
      configuration.checkpointEvery = 0
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(ranks)-\(placement)")
      let fault = FaultyBackbone.Fault(
        place: .items, value: .nan, steps: 2...2, pass: method == .ig ? 2 : 1)
      for end in try train(run, fault, ranks: ranks, placement) {
        messages.insert(end.failure?.message ?? "none")
        #expect(end.steps == 3)
      }
      #expect(!Files.exists(run.directory.checkpointsPath))
    }
    #expect(messages.count == 1)
    #expect(messages.first?.contains(" is nan in epoch 1, step 2; lower ") == true, "\(messages)")
  }

  /// The last step of an epoch: found before the model is evaluated.
  @Test func theLastStepOfAnEpochIsFoundBeforeItsEvaluation() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var configuration = Self.configuration(.bce)
    configuration.checkpointEvery = 0
    let steps = (dataset.trainRows + configuration.batch - 1) / configuration.batch
    let fault = FaultyBackbone.Fault(place: .dense, value: .nan, steps: steps...steps)
    for ranks in [1, 3] {
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(ranks)")
      for end in try train(run, fault, ranks: ranks) {
        #expect(
          end.failure?.message.hasPrefix("output.weight[0] is nan in epoch 1, step \(steps);")
            == true
            || end.failure?.message.contains(" in epoch 1, step \(steps);") == true)
        #expect(end.steps == steps)
      }
      #expect(!Files.exists(run.directory.checkpointsPath))
      #expect(try Files.read(run.directory.metricsPath).isEmpty)
    }
  }

  /// The virtual step of an inverse gradient has gradients of its own, whose sign would hide what
  /// they are.
  @Test(arguments: [FaultyBackbone.Place.users, .items, .dense], [Float.nan, .infinity])
  func aBadGradientOfTheVirtualStepStopsTheRun(
    place: FaultyBackbone.Place, value: Float
  ) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var messages: Set<String> = []
    for (ranks, placement) in Self.groups {
      let run = TrainingRun(
        Self.configuration(.ig), dataset, "\(directory.path)/\(ranks)-\(placement)")
      let fault = FaultyBackbone.Fault(place: place, value: value, steps: 2...2)
      for end in try train(run, fault, ranks: ranks, placement) {
        messages.insert(end.failure?.message ?? "none")
        #expect(end.steps == 2)
      }
    }
    #expect(messages.count == 1)
    #expect(messages.first?.contains(" in epoch 1, step 2") == true, "\(messages)")
  }

  /// A loss: with all methods at once, naming a pair.
  @Test(arguments: Method.allCases) func aBadScoreStopsTheRun(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let item = try dataset.itemIdentifiers().externalIdentifier(of: 3)
    var messages: Set<String> = []
    for (ranks, placement) in Self.groups {
      let run = TrainingRun(
        Self.configuration(method), dataset, "\(directory.path)/\(ranks)-\(placement)")
      let fault = FaultyBackbone.Fault(place: .score, value: .nan, steps: 2...2)
      for end in try train(run, fault, ranks: ranks, placement) {
        messages.insert(end.failure?.message ?? "none")
        #expect(end.steps == 2)
      }
    }
    #expect(messages.count == 1)
    let message = messages.first ?? ""
    #expect(
      message.hasPrefix("the loss is not a finite number in epoch 1, step 2: the score of user 'u")
        && message.contains(" and item '\(item)' is nan; lower "), "\(messages)")
  }

  // MARK: Leave out

  /// Parameters and moments after a step that was left out are those before it, for every method,
  /// fault and number of ranks; the run goes on to the same bytes everywhere.
  @Test(
    arguments: Method.allCases, [FaultyBackbone.Place.score, .users, .items, .dense])
  func aStepLeftOutChangesNothing(method: Method, place: FaultyBackbone.Place) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let values: [Float] = [.nan, .infinity]
    for pass in method == .ig && place != .score ? [1, 2] : [1] {
      var alone: Outcome?
      for (ranks, placement) in Self.groups {
        var run = TrainingRun(
          Self.configuration(method, skipping: true), dataset,
          "\(directory.path)/\(pass)-\(ranks)-\(placement)")
        run.configuration.tables = placement.tables
        let fault = FaultyBackbone.Fault(
          place: place, value: values[pass - 1], steps: 3...4, pass: pass)
        for end in try train(run, fault, ranks: ranks, placement) { #expect(end.failure == nil) }
        let root = run.directory.checkpointsPath
        for file in ["model", "optimizer"] {
          let steps = try (1...5).map {
            try Files.read("\(root)/step-00000000000\($0)/\(file).safetensors")
          }
          #expect(steps[0] != steps[1] && steps[3] != steps[4])
          #expect(steps[1] == steps[2] && steps[1] == steps[3], "\(file), \(ranks) \(placement)")
        }
        let outcome = try Outcome(
          run, result: #require(try run.directory.result()), others: [])
        #expect(outcome.result.skippedSteps == 2 && outcome.state.skippedSteps == 2)
        #expect(outcome.history.map(\.skippedSteps) == [2, nil])
        alone = alone ?? outcome
        #expect(try outcome.differences(from: #require(alone)) == [], "\(ranks) \(placement)")
      }
    }
  }

  /// Every optimizer, and what overflows only in a moment.
  @Test(arguments: OptimizerName.allCases, [Float.nan, -Float.infinity, 1e25])
  func everyOptimizerLeavesStepsOut(optimizer: OptimizerName, value: Float) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    if optimizer == .sgd && value == 1e25 { return }
    for place in [FaultyBackbone.Place.users, .items, .dense] {
      for ranks in [1, 3] {
        let run = TrainingRun(
          Self.configuration(.bce, optimizer, skipping: true), dataset,
          "\(directory.path)/\(place)-\(ranks)")
        let fault = FaultyBackbone.Fault(place: place, value: value, steps: 2...2)
        for end in try train(run, fault, ranks: ranks) { #expect(end.failure == nil) }
        let root = run.directory.checkpointsPath
        for file in ["model", "optimizer"] {
          #expect(
            try Files.read("\(root)/step-000000000001/\(file).safetensors")
              == Files.read("\(root)/step-000000000002/\(file).safetensors"))
        }
        #expect(try run.directory.result()?.skippedSteps == 1)
      }
    }
  }

  /// Where nothing goes astray it makes no difference.
  @Test(arguments: Method.allCases) func withoutFaultsTheBytesAreTheSame(method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let stopping = TrainingRun(.brief(method), dataset, "\(directory.path)/stop")
    var skipping = TrainingRun(.brief(method), dataset, "\(directory.path)/skip")
    skipping.configuration.onNonfinite = .skipStep
    var other = try skipping.outcome(ranks: 3, as: "3")
    #expect(other.state.skippedSteps == nil && other.result.skippedSteps == nil)
    other.state.configuration.onNonfinite = .stop
    #expect(try other.differences(from: stopping.outcome(ranks: 1, as: "1")) == [])
  }

  @Test func tooManyInARowEndTheRun() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var configuration = Self.configuration(.bce, skipping: true)
    configuration.checkpointEvery = 0
    configuration.epochs = 60
    let steps = (dataset.trainRows + configuration.batch - 1) / configuration.batch
    for ranks in [1, 2] {
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(ranks)")
      let fault = FaultyBackbone.Fault(place: .dense, value: .nan, steps: 3...10_000)
      for end in try train(run, fault, ranks: ranks) {
        let last = 102
        #expect(end.steps == last)
        #expect(
          end.failure
            == .software(
              "100 steps in a row were left out, the last in epoch \((last - 1) / steps + 1), step "
                + "\((last - 1) % steps + 1), because their numbers were not finite; lower --rate, "
                + "--inner-rate or --weight-decay"))
      }
    }
  }

  /// The count in a row goes on where a run was stopped.
  @Test func aResumedRunCountsOn() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var configuration = Self.configuration(.bce, skipping: true)
    configuration.epochs = 60
    configuration.checkpointEvery = 0
    let run = TrainingRun(configuration, dataset, "\(directory.path)/run")
    let fault = FaultyBackbone.Fault(place: .dense, value: .nan, steps: 1...10_000)
    let backbone = FaultyBackbone(fault)
    var stopped = run
    stopped.backbone = { backbone }
    let stop = failure {
      _ = try stopped.train(on: SoloGroup(), stopAfter: 40, beforeStep: { backbone.step += 1 })
    }
    #expect(stop?.kind == .interrupted)
    let ends = try train(run, fault, ranks: 2, isResuming: true)
    #expect(ends.allSatisfy { $0.steps == 60 && $0.failure?.kind == .software })
  }

  /// Real overflow in every backbone: the same steps are left out for every number of ranks, and
  /// leave the same bytes, until the evaluation refuses the scores.
  @Test(arguments: BackboneName.allCases, [Method.ig, .bce])
  func everyBackboneLeavesTheSameStepsOut(backbone: BackboneName, method: Method) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, sequences: backbone == .sasrec)
    var configuration = TrainingConfiguration.small(backbone, method)
    configuration.onNonfinite = .skipStep
    configuration.checkpointEvery = 1
    configuration.keep = 99
    configuration.rate = 1e25
    configuration.innerRate = 1e20
    configuration.epochs = 1
    var alone: (ends: Set<String>, models: [[UInt8]])?
    for (ranks, placement) in Self.groups {
      var run = TrainingRun(
        configuration, dataset, "\(directory.path)/\(ranks)-\(placement)")
      run.configuration.tables = placement.tables
      let ends = try LocalGroup.run(
        ranks: ranks, ranksPerMachine: placement.ranksPerMachine
      ) { [run] group in failure { _ = try run.train(on: group) }?.message ?? "finished" }
      let root = run.directory.checkpointsPath
      let models = try Files.names(in: root).filter { $0.hasPrefix("step-") }.map {
        try Files.read("\(root)/\($0)/model.safetensors")
          + Files.read("\(root)/\($0)/optimizer.safetensors")
      }
      let pairs = zip(models, models.dropFirst())
      #expect(pairs.contains { $0 == $1 }, "\(ends)")
      #expect(Set(ends).count == 1, "\(ends)")
      alone = alone ?? (Set(ends), models)
      #expect(alone?.ends == Set(ends) && alone?.models == models, "\(ranks) \(placement)")
    }
  }
}
