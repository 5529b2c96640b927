import Backbones
import Fabric
import Foundation
import Kernels
import Sharding
import Testing
import Training

/// Users like items of their own parity, but each has one positive row that is a mistake. Unlabeled
/// rows are items of the other parity; every step has all rows.
private final class PlantedRows: RowSource {
  struct Row {
    let user: Int
    let item: Int
    let isPositive: Bool
    let isPlanted: Bool
  }

  static let users = 16
  static let items = 20
  static let userStarts = (0...8).map { 2 * $0 }
  static let itemStarts = [0, 20, 20, 20, 20, 20, 20, 20, 20]

  static func rows(of user: Int) -> (labeled: [Row], unlabeled: [Row]) {
    let places = (0..<7).map { (user + 3 * $0) % 10 }
    let planted = (user * 7 + 5) % 10
    let labeled = places.prefix(6).map {
      Row(user: user, item: 2 * $0 + user % 2, isPositive: true, isPlanted: false)
    }
    let mistake = Row(
      user: user, item: 2 * planted + 1 - user % 2, isPositive: true, isPlanted: true)
    let unlabeled = places.filter { $0 != planted }.map {
      Row(user: user, item: 2 * $0 + 1 - user % 2, isPositive: false, isPlanted: false)
    }
    return (labeled + [mistake], unlabeled)
  }

  private let own: Range<Int>

  /// For the shards `own` of this rank.
  init(own: Range<Int>) { self.own = own }

  func capacity(_ rows: StepRows) -> Int { 32 * own.count }
  func labeledRows(in step: Int) -> Int {
    (0..<Self.users).reduce(0) { $0 + Self.rows(of: $1).labeled.count }
  }
  func totalUnlabeled(of batch: StepBatch, in step: Int) -> Int {
    (0..<Self.users).reduce(0) { $0 + Self.rows(of: $1).unlabeled.count }
  }

  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    let first = Self.userStarts[own.lowerBound]
    var end = 0
    for (local, shard) in own.enumerated() {
      let users = Self.userStarts[shard]..<Self.userStarts[shard + 1]
      let labeled = users.flatMap { Self.rows(of: $0).labeled }
      for row in labeled + users.flatMap({ Self.rows(of: $0).unlabeled }) {
        unsafe batch.users.pointer[end] = UInt32(row.user - first)
        unsafe batch.items.pointer[end] = UInt32(row.item)
        unsafe batch.labels.pointer[end] = row.isPositive ? 1 : 0
        end += 1
      }
      batch.close(shard: local, at: end, labeled: labeled.count)
    }
  }
}

/// What truncation and reweighting do about positive rows that are mistakes.
@Suite struct PlantedNoiseTests {
  private static let planted = PlantedRows.users

  private static func configuration(_ method: Method) -> TrainingConfiguration {
    let rows = (0..<PlantedRows.users).reduce(0) { count, user in
      let (labeled, unlabeled) = PlantedRows.rows(of: user)
      return count + labeled.count + unlabeled.count
    }
    var configuration = TrainingConfiguration()
    configuration.method = method
    configuration.factors = 2
    configuration.optimizer = .adam
    configuration.rate = 0.02
    // As many as are planted.
    configuration.dropRate = (Double(planted) - 0.5) / Double(rows)
    configuration.dropSteps = 100
    return configuration
  }

  /// Trains on all rows for some steps; returns the positive rows, dearest first.
  private static func positives(
    _ method: Method, ranks: Int
  ) throws -> [(row: PlantedRows.Row, loss: Double)] {
    let configuration = configuration(method)
    let tables = try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: 8, rankCount: ranks)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let model = Model(
        configuration,
        backbone: GeneralizedMatrixFactorization(
          factors: 2, hasBiases: false, trainsOutput: false, initialDeviation: 0.1),
        userStarts: PlantedRows.userStarts, itemStarts: PlantedRows.itemStarts, tree: tree,
        rank: group.rank)
      let rule = SupervisedRule(
        method: method, configuration: configuration, model: model,
        source: PlantedRows(own: tree.shards(of: group.rank)), context: context)
      for step in 0..<300 {
        _ = try rule.step(
          StepPosition(epoch: 0, step: step, number: step), isStopRequested: false)
      }
      return withExtendedLifetime(model) {
        unsafe (Array(model.users.weights.elements), Array(model.items.weights.elements))
      }
    }
    let (users, items) = (tables.flatMap { $0.0 }, tables[0].1)
    return (0..<PlantedRows.users).flatMap { PlantedRows.rows(of: $0).labeled }.map { row in
      let score = (0..<2).reduce(0.0) {
        $0 + Double(users[8 * row.user + $1]) * Double(items[8 * row.item + $1])
      }
      return (row, log1p(exp(-abs(score))) + max(0, -score))
    }.sorted { $0.loss > $1.loss }
  }

  /// The rows that the next step would drop are those that were planted, all and no others, and no
  /// other row costs half as much.
  @Test(arguments: [1, 3]) func truncationDropsThePlantedRows(ranks: Int) throws {
    let positives = try Self.positives(.tce, ranks: ranks)
    #expect(positives.prefix(Self.planted).allSatisfy { $0.row.isPlanted })
    let (last, next) = (positives[Self.planted - 1].loss, positives[Self.planted].loss)
    #expect(last > 2 * next)
  }

  /// Rows that count less, or not at all, are learned less than by the usual practice.
  @Test(arguments: [Method.tce, .rce]) func plantedRowsStayDearer(method: Method) throws {
    func cost(_ method: Method) throws -> Double {
      try Self.positives(method, ranks: 1).filter(\.row.isPlanted).map(\.loss).reduce(0, +)
    }
    let (mine, usual) = (try cost(method), try cost(.negatives))
    #expect(mine > 1.1 * usual)
  }
}
