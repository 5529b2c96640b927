import Evaluation
import Fabric
import Foundation
import Interactions
import Storage
import Testing
import Training

/// What earlier programs wrote is read, evaluated and gone on with.
@Suite struct VersionTests {
  private static let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Goldens").path

  /// A run of the first program that could train, on the dataset of version 1:
  ///
  ///     inverse train dataset-version-1 --output run-version-1 --method ig --factors 2 --biases \
  ///       --batch 2 --epochs 2 --rate 0.05 --keep 2 --seed 3 --select loss
  private func run(in directory: TemporaryDirectory) throws -> TrainingRun {
    let path = "\(directory.path)/run"
    try FileManager.default.copyItem(atPath: "\(Self.goldens)/run-version-1", toPath: path)
    let dataset = try Dataset.open("\(Self.goldens)/dataset-version-1")
    let setup = try RunDirectory(path).setup()
    return TrainingRun(setup.training, dataset, path)
  }

  @Test(arguments: [1]) func aRunOfTheFirstVersionIsEvaluated(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let run = try run(in: directory)
    let result = try #require(try run.directory.result())
    let evaluation = try RunEvaluation(
      run.directory, dataset: run.dataset.directory, group: SoloGroup()
    ) { _ in }
    #expect(evaluation.modelSHA256 == result.modelSHA256)
    let metrics = try evaluation.metrics(of: .test, cutoffs: [10])
    #expect(metrics.rows == result.test.rows)
    let (loss, then) = (try #require(metrics.logLoss), try #require(result.test.logLoss))
    // A score is a sum of a few floats of size 1, in whatever order programs add them.
    #expect(abs(loss - then) < 16 * roundoff)
  }

  @Test func aRunOfTheFirstVersionGoesOn() throws {
    let directory = try TemporaryDirectory()
    var run = try run(in: directory)
    let before = try #require(try run.directory.result())
    // There is nothing left to do.
    #expect(try run.train(ranks: 1, isResuming: true)[0] == before)
    run.configuration.epochs = 4
    let result = try run.train(ranks: 1, isResuming: true)[0]
    #expect(result.epochs == 4 && result.steps == 2 * before.steps)
    #expect(result.test.logLoss?.isFinite == true)
    // And what this program has written is gone on with again.
    run.configuration.epochs = 5
    #expect(try run.train(ranks: 1, isResuming: true)[0].epochs == 5)
  }

  /// Keys that came later, with the value that did what programs did before.
  private static let later = [
    "checkpointEpochs", "selectProtocol", "evaluateEvery", "dropRate", "dropSteps",
    "reweightPower", "rowDecay", "outputWeights", "checkpointRequired", "onNonfinite",
  ]

  private func object(_ configuration: TrainingConfiguration) throws -> [String: Any] {
    let bytes = try RunDirectory.encode(configuration, pretty: false)
    return try #require(
      try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
  }

  private func decode(_ object: [String: Any]) throws -> TrainingConfiguration {
    try RunDirectory.decode(
      Array(try JSONSerialization.data(withJSONObject: object)), "configuration.json")
  }

  @Test func keysThatCameLaterMayBeAbsent() throws {
    let whole = try object(TrainingConfiguration())
    #expect(try decode(whole) == TrainingConfiguration())
    #expect(try decode(whole.filter { !Self.later.contains($0.key) }) == TrainingConfiguration())
    for key in Self.later {
      #expect(whole[key] != nil, "\(key)")
      #expect(try decode(whole.filter { $0.key != key }) == TrainingConfiguration(), "\(key)")
    }
    for key in whole.keys where !Self.later.contains(key) {
      let failure = failure { _ = try decode(whole.filter { $0.key != key }) }
      #expect(failure?.kind == .data, "\(key)")
    }
    // Keys of a later program are passed over.
    #expect(try decode(whole.merging(["unheardOf": 1]) { $1 }) == TrainingConfiguration())
  }

  /// Every option, also those that are absent by default, comes back as it was written.
  @Test func everyValueComesBack() throws {
    var changed = TrainingConfiguration()
    changed.backbone = .sasrec
    (changed.layers, changed.dropout, changed.neighbours, changed.walks) = (2, 0.25, 3, 4)
    (changed.walkLength, changed.blocks, changed.heads, changed.sequenceLength) = (5, 6, 7, 8)
    (changed.initializeFrom, changed.initialModels) = (["a", "b"], ["c", "d"])
    (changed.reportTest, changed.lists, changed.initialDeviation) = (.lists, "file", 0.5)
    (changed.checkpointEpochs, changed.selectProtocol, changed.evaluateEvery) = (2, .sampled, 3)
    (changed.dropRate, changed.dropSteps, changed.reweightPower) = (0.5, 6, 0.75)
    (changed.rowDecay, changed.outputWeights) = (0.125, .ones)
    (changed.checkpointRequired, changed.onNonfinite) = (true, .skipStep)
    changed.nodeDropout = 0.375
    #expect(try decode(try object(changed)) == changed)
  }
}
