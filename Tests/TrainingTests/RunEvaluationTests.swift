import Checkpoints
import Evaluation
import Fabric
import Foundation
import Interactions
import Storage
import Testing
import Training

@Suite struct RunEvaluationTests {
  /// Every pair of the toy log's users and items, in an order that mixes all users, with a label.
  private static let pairs = (0..<41 * 29).map { place in
    let pair = place * 7 % (41 * 29)
    return (user: pair % 41, item: pair / 41, label: pair % 3 == 0 ? 1 : 0)
  }

  private static func truth() -> String {
    pairs.map { "u\($0.user)\ti\($0.item)\t\($0.label)\n" }.joined()
  }

  /// The scores of ``pairs`` from the tensors of the model file.
  private static func scores(_ run: TrainingRun) throws -> [Double] {
    let file = try TensorFile.Reader(
      path: "\(run.directory.checkpointsPath)/best/model.safetensors")
    func values(_ name: String) throws -> [Double] {
      try file.values(name, as: Float.self).map { Double($0) }
    }
    let (users, items) = (try values("user.factors"), try values("item.factors"))
    let (userBiases, itemBiases) = (try values("user.bias"), try values("item.bias"))
    let (weight, bias) = (try values("output.weight"), try values("output.bias"))
    let factors = weight.count
    return try pairs.map { pair in
      let user = try #require(try run.dataset.userIdentifiers().index(of: "u\(pair.user)"))
      let item = try #require(try run.dataset.itemIdentifiers().index(of: "i\(pair.item)"))
      let products = (0..<factors).map {
        weight[$0] * users[user * factors + $0] * items[item * factors + $0]
      }
      return products.reduce(bias[0] + userBiases[user] + itemBiases[item], +)
    }
  }

  /// With one shard its rows are cut into microbatches; with eight, those of several make one.
  @Test(arguments: [1, 8]) func theBestModelLabelsPairsOnAnyRanks(shards: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, shards: shards)
    let path = try directory.write(Self.truth(), to: "truth.tsv")
    for tables in TablePlacement.allCases {
      let run = TrainingRun(
        .brief(.ig) { $0.tables = tables }, dataset, "\(directory.path)/\(tables)")
      let result = try run.train(ranks: 1)[0]
      let correct = zip(try Self.scores(run), Self.pairs).count { score, pair in
        // No score is so near 0 that rounding could change its side.
        #expect(abs(score) > 1e-5)
        return (score > 0) == (pair.label == 1)
      }
      for ranks in [1, 3, 8] where ranks <= shards {
        let annotations = try LocalGroup.run(ranks: ranks) { group in
          let evaluation = try RunEvaluation(run.directory, dataset: nil, group: group) { _ in }
          #expect(evaluation.modelSHA256 == result.modelSHA256)
          #expect(
            ReportedMetrics(try evaluation.metrics(of: .valid, cutoffs: [10])) == result.valid)
          #expect(ReportedMetrics(try evaluation.metrics(of: .test, cutoffs: [10])) == result.test)
          return try evaluation.annotation(against: path)
        }
        for annotation in annotations {
          #expect(annotation == annotations[0])
          #expect(annotation.rows == Self.pairs.count)
          #expect(annotation.accuracy == Double(correct) / Double(Self.pairs.count))
        }
      }
    }
  }

  @Test func whatCannotBeEvaluatedIsNamed() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let run = TrainingRun(.brief(.bce) { $0.epochs = 1 }, dataset, "\(directory.path)/run")
    func open(_ path: String? = nil) throws -> RunEvaluation {
      try RunEvaluation(run.directory, dataset: path, group: SoloGroup()) { _ in }
    }
    #expect(
      failure { _ = try open() }
        == .data("\(run.path) is not a run directory: configuration.json is missing"))
    #expect(failure { try run.train(ranks: 1, stopAfter: 1) }?.kind == .interrupted)
    #expect(
      failure { _ = try open() }
        == .data("\(run.path) has no best model: no epoch is finished, or it is damaged"))
    try run.train(ranks: 1, isResuming: true)
    let other = try ToyLog.uneven(withOmnivore: true).prepare(in: directory, as: "other")
    #expect(
      failure { _ = try open(other.directory) }
        == .data(
          "\(other.directory) is not the dataset that \(run.path) was trained on; "
            + "name that one with --dataset"))
    let unknown = try directory.write("u0\ti1\t1\nu0\ti777\t1\n", to: "unknown.tsv")
    let refusal = failure { _ = try open().annotation(against: unknown) }
    #expect(refusal?.kind == .data && refusal?.message.hasPrefix("\(unknown):2: ") == true)
    let bare = try directory.write("u0\ti1\n", to: "bare.tsv")
    #expect(
      failure { _ = try open().annotation(against: bare) }
        == .data("\(bare):1: a row of truth needs a label, 0 or 1"))
  }
}
