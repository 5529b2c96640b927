import Checkpoints
import Fabric
import Interactions
import Storage
import Testing
import Training

/// NeuMF that starts from trained runs of GMF and MLP.
@Suite struct JoinedRunTests {
  private let directory: TemporaryDirectory
  private let dataset: Dataset

  init() throws {
    directory = try TemporaryDirectory()
    dataset = try ToyLog.uneven().prepare(in: directory)
  }

  /// A finished run, by whose name it can be found again.
  private func source(
    _ backbone: BackboneName, as name: String,
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> String {
    var configuration = TrainingConfiguration.small(backbone, .bce)
    configuration.factors = 8
    configuration.biases = false
    change(&configuration)
    let run = TrainingRun(configuration, dataset, "\(directory.path)/\(name)")
    try run.train(ranks: 2)
    return run.path
  }

  private func joined(
    _ paths: [String], _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) -> TrainingRun {
    var configuration = TrainingConfiguration.small(.neumf, .ig)
    configuration.initializeFrom = paths
    change(&configuration)
    return TrainingRun(configuration, dataset, "\(directory.path)/joined")
  }

  private func reader(_ path: String) throws -> TensorFile.Reader {
    try TensorFile.Reader(path: "\(path)/checkpoints/best/model.safetensors")
  }

  @Test(arguments: [1, 3]) func everyTensorIsWhereItBelongs(ranks: Int) throws {
    let paths = [try source(.gmf, as: "gmf"), try source(.mlp, as: "mlp")]
    let (gmf, mlp) = (try reader(paths[0]), try reader(paths[1]))
    let run = joined(paths)
    let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
    let output = "\(directory.path)/model-\(ranks).safetensors"
    _ = try LocalGroup.run(ranks: ranks) { group in
      let context = JobContext(group: group, tree: tree, configuration: run.configuration)
      let model = try Model(run.configuration, dataset: dataset, context: context)
      let initial = try #require(
        try InitialModels.open(run.configuration, dataset: dataset, group: group) { _ in })
      try initial.join(into: model)
      let store = CheckpointStore(directory: output)
      _ = try store.save(
        step: 0, model: model.parameterSlabs(rank: group.rank), optimizer: [], state: [],
        metadata: [:], group: group)
    }
    let step = try #require(try Files.names(in: output).first { $0.hasPrefix("step-") })
    let file = try TensorFile.Reader(path: "\(output)/\(step)/model.safetensors")
    func values(_ file: TensorFile.Reader, _ name: String) throws -> [Float] {
      try file.values(name, as: Float.self)
    }
    for (name, count) in [("user.factors", dataset.users), ("item.factors", dataset.items)] {
      let (left, right) = (try values(gmf, name), try values(mlp, name))
      var expected: [Float] = []
      for row in 0..<count {
        expected += left[8 * row..<8 * row + 8]
        expected += right[16 * row..<16 * row + 16]
      }
      #expect(try values(file, name) == expected, "\(name)")
    }
    for name in (0..<2).flatMap({ ["tower.\($0).weight", "tower.\($0).bias"] }) {
      #expect(try values(file, name) == values(mlp, name), "\(name)")
    }
    for name in ["output.weight", "output.bias"] {
      let (left, right) = (try values(gmf, name), try values(mlp, name))
      let expected =
        name == "output.bias" ? [left[0] / 2 + right[0] / 2] : (left + right).map { $0 / 2 }
      #expect(try values(file, name) == expected, "\(name)")
    }
  }

  @Test func anyRanksGiveTheSameFilesAndResume() throws {
    let paths = [try source(.gmf, as: "gmf"), try source(.mlp, as: "mlp")]
    let run = joined(paths)
    let alone = try run.outcome(ranks: 1, as: "alone")
    for ranks in [2, 4] {
      for placement in [Placement.shared, .sharded, .replicated] {
        let other = try run.outcome(ranks: ranks, at: placement, as: "\(ranks)-\(placement)")
        #expect(other.differences(from: alone) == [], "\(ranks) ranks, \(placement)")
      }
    }
    let digests = alone.state.configuration.initialModels
    #expect(digests?.count == 2)
    run.stop(ranks: 2, after: 3, resuming: false)
    #expect(try run.directory.setup().training.initialModels == digests)
    #expect(try run.finish(ranks: 3).differences(from: alone) == [])
    let plain = try joined(paths) { $0.initializeFrom = nil }.outcome(ranks: 1, as: "plain")
    #expect(plain.files["model"] != alone.files["model"])
  }

  @Test func otherModelsDoNotResume() throws {
    let paths = [try source(.gmf, as: "gmf"), try source(.mlp, as: "mlp")]
    let run = joined(paths)
    run.stop(ranks: 1, after: 2, resuming: false)
    let digests = try run.directory.setup().training.initialModels ?? []
    let other = joined([try source(.gmf, as: "other") { $0.seed = 9 }, paths[1]])
    let failure = failure { try other.train(ranks: 1, isResuming: true) }
    #expect(failure?.kind == .usage)
    #expect(
      failure?.message.hasPrefix(
        "--resume: \(run.path) was started with --initialize-from "
          + "\(digests.joined(separator: ",")), not ") == true)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let (gmf, mlp) = (try source(.gmf, as: "gmf"), try source(.mlp, as: "mlp"))
    let prefix = "--initialize-from: \(directory.path)/"
    let cases: [(paths: [String], message: String)] = [
      (
        [mlp, gmf], "mlp has the backbone mlp; needed is gmf: name the run of gmf, then that of mlp"
      ),
      (
        [gmf, gmf], "gmf has the backbone gmf; needed is mlp: name the run of gmf, then that of mlp"
      ),
      (
        [try source(.gmf, as: "wide") { $0.factors = 16 }, mlp],
        "wide has --factors 16; needed is 8"
      ),
      (
        [try source(.gmf, as: "biased") { $0.biases = true }, mlp],
        "biased has --biases; needed is a run without: neumf has none"
      ),
      ([gmf, try source(.mlp, as: "deep") { $0.layers = 3 }], "deep has --layers 3; needed is 2"),
    ]
    for (paths, message) in cases {
      let failure = failure { try joined(paths).train(ranks: 2) }
      #expect(failure == .usage(prefix + message))
    }
    var elsewhere = joined([gmf, mlp])
    elsewhere.dataset = try ToyLog.checkerboard().prepare(in: directory, as: "other")
    let failure = failure { try elsewhere.train(ranks: 1) }
    #expect(
      failure
        == .data(
          prefix + "gmf was trained on \(dataset.directory), whose content differs from "
            + elsewhere.dataset.directory))
    #expect(!elsewhere.directory.exists)
  }
}
