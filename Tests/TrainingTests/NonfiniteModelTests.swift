import Checkpoints
import Evaluation
import Fabric
import Interactions
import Kernels
import Sharding
import Storage
import Testing
import Training

/// Model files that hold numbers that are not finite are refused wherever they are read.
@Suite struct NonfiniteModelTests {
  private let directory: TemporaryDirectory
  private let dataset: Dataset

  init() throws {
    directory = try TemporaryDirectory()
    dataset = try ToyLog.uneven().prepare(in: directory)
  }

  /// Reads a model of a run, changes it, and puts it in the place of the best one or a checkpoint.
  private func rewrite(
    _ run: TrainingRun, isBest: Bool = true, _ change: (Model) -> Void
  ) throws {
    let group = SoloGroup()
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: 1)
    let context = JobContext(group: group, tree: tree, configuration: run.configuration)
    let model = try Model(run.configuration, dataset: dataset, context: context)
    let store = CheckpointStore(directory: run.directory.checkpointsPath)
    let opened =
      isBest
      ? try store.openBest(group: group) { _ in } : try store.openNewest(group: group) { _ in }
    let checkpoint = try #require(opened)
    try model.readParameters(from: checkpoint.model)
    if let optimizer = checkpoint.optimizer { try model.readState(from: optimizer) }
    change(model)
    let slabs = model.parameterSlabs(rank: 0)
    if isBest {
      _ = try store.publish(
        try store.stageBest(
          step: checkpoint.step, model: slabs, state: checkpoint.state, group: group),
        group: group)
    } else {
      _ = try store.save(
        step: checkpoint.step, model: slabs, optimizer: model.stateSlabs(rank: 0),
        state: checkpoint.state, group: group)
    }
    withExtendedLifetime(model) {}
  }

  private func failures(
    _ ranks: Int, _ body: @escaping @Sendable (any ProcessGroup) throws -> Void
  ) throws -> [Failure?] {
    try LocalGroup.run(ranks: ranks) { group in failure { try body(group) } }
  }

  static let values: [(Float, String)] = [
    (.nan, "nan"), (.infinity, "inf"), (-.infinity, "-inf"),
  ]

  @Test(arguments: values) func anEvaluationSaysSo(value: Float, name: String) throws {
    let run = TrainingRun(.brief(.bce), dataset, "\(directory.path)/run")
    try run.train(ranks: 1)
    let item = try dataset.itemIdentifiers().externalIdentifier(of: 11)
    let user = try dataset.userIdentifiers().externalIdentifier(of: 5)
    // Writes a number, and returns what was there.
    func exchange(_ address: UnsafeMutablePointer<Float>, _ value: Float) -> Float {
      defer { unsafe address.pointee = value }
      return unsafe address.pointee
    }
    let places: [(String, (Model, Float) -> Float)] = [
      ("item.factors of item '\(item)'", { unsafe exchange($0.items.row(11) + 4, $1) }),
      (
        "user.bias of user '\(user)'",
        { unsafe exchange($0.users.row(5) + $0.users.layout.biasColumn, $1) }
      ),
      ("output.weight[9]", { unsafe exchange($0.dense.row(0) + 9, $1) }),
    ]
    for (place, change) in places {
      let path = "\(run.directory.checkpointsPath)/best/model.safetensors"
      var kept: Float = 0
      try rewrite(run) { kept = change($0, value) }
      for ranks in [1, 3] {
        let seen = try failures(ranks) { group in
          _ = try RunEvaluation(run.directory, dataset: nil, group: group) { _ in }
        }
        let expected = Failure.data(
          "\(path): \(place) is \(name), so the model has no figures; train it again with a "
            + "smaller --rate")
        #expect(seen == [Failure?](repeating: expected, count: ranks))
      }
      // Put back, so that the next place is the first.
      try rewrite(run) { _ = change($0, kept) }
    }
  }

  /// All numbers are finite, but a score is not.
  @Test(arguments: [1, 3]) func scoresThatOverflowAreNoFigures(ranks: Int) throws {
    let run = TrainingRun(.brief(.bce), dataset, "\(directory.path)/run-\(ranks)")
    try run.train(ranks: 1)
    try rewrite(run) { model in
      for item in 0..<model.itemCount { unsafe model.items.row(item)[0] = 1e30 }
      for user in 0..<model.userCount { unsafe model.users.row(user)[0] = 1e30 }
    }
    let seen = try failures(ranks) { group in
      _ = try RunEvaluation(run.directory, dataset: nil, group: group) { _ in }
        .metrics(of: .test, cutoffs: [10])
    }
    let first = try #require(seen[0])
    #expect(seen == [Failure?](repeating: first, count: ranks))
    #expect(first.kind == .software)
    #expect(first.message.hasPrefix("a score of user 'u"))
    #expect(first.message.contains("' is not a finite number; the model has diverged"))
  }

  @Test(arguments: [1, 2]) func aJoinedModelIsRefused(ranks: Int) throws {
    func source(_ backbone: BackboneName) throws -> TrainingRun {
      var configuration = TrainingConfiguration.small(backbone, .bce)
      configuration.factors = 8
      configuration.biases = false
      let run = TrainingRun(configuration, dataset, "\(directory.path)/\(backbone)-\(ranks)")
      try run.train(ranks: 1)
      return run
    }
    let runs = [try source(.gmf), try source(.mlp)]
    try rewrite(runs[0]) { unsafe $0.items.row(7)[2] = .nan }
    var configuration = TrainingConfiguration.small(.neumf, .bce)
    configuration.initializeFrom = runs.map(\.path)
    let joined = TrainingRun(configuration, dataset, "\(directory.path)/joined-\(ranks)")
    let item = try dataset.itemIdentifiers().externalIdentifier(of: 7)
    let seen = try failures(ranks) { _ = try joined.train(on: $0) }
    let expected = Failure.data(
      "--initialize-from \(runs[0].path),\(runs[1].path): item.factors of item '\(item)' is nan, "
        + "which nothing can be learned from; train these runs again with a smaller --rate")
    #expect(seen == [Failure?](repeating: expected, count: ranks))
    #expect(!joined.directory.exists)
  }

  @Test func aCheckpointToGoOnFromIsRefused() throws {
    let run = TrainingRun(.brief(.bce), dataset, "\(directory.path)/resumed")
    run.stop(ranks: 1, after: 4, resuming: false)
    try rewrite(run, isBest: false) { unsafe $0.users.row(2)[1] = .infinity }
    let user = try dataset.userIdentifiers().externalIdentifier(of: 2)
    for ranks in [1, 3] {
      let seen = try failures(ranks) { _ = try run.train(on: $0, isResuming: true) }
      let expected = Failure.data(
        "\(run.directory.checkpointsPath)/step-000000000004: user.factors of user '\(user)' is inf, "
          + "which nothing can be learned from; remove this checkpoint to go on from the one before"
      )
      #expect(seen == [Failure?](repeating: expected, count: ranks))
    }
  }
}
