import Backbones
import Fabric
import Kernels
import Sharding
import Testing
import Training

/// The rows of one step, given literally.
final class LiteralRows: RowSource {
  private let problem: GoldenFile.Problem
  private let userStarts: [Int]
  private let own: Range<Int>

  init(_ problem: GoldenFile.Problem, userStarts: [Int], own: Range<Int>) {
    self.problem = problem
    self.userStarts = userStarts
    self.own = own
  }

  func capacity(_ rows: StepRows) -> Int { 2 * problem.labeled.users.count }
  func labeledRows(in step: Int) -> Int { problem.labeled.users.count }
  func totalUnlabeled(of batch: StepBatch, in step: Int) -> Int { problem.unlabeled.users.count }

  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    var end = 0
    for (local, shard) in own.enumerated() {
      var labeled = 0
      if rows != .unlabeled {
        labeled = append(problem.labeled, shard, to: batch, at: end)
        end += labeled
      }
      if rows != .labeled { end += append(problem.unlabeled, shard, to: batch, at: end) }
      batch.close(shard: local, at: end, labeled: labeled)
    }
  }

  private func append(
    _ rows: GoldenFile.Rows, _ shard: Int, to batch: StepBatch, at start: Int
  ) -> Int {
    var end = start
    for row in rows.users.indices
    where userStarts[shard]..<userStarts[shard + 1] ~= rows.users[row] {
      let first = userStarts[own.lowerBound]
      unsafe batch.users.pointer[end] = UInt32(rows.users[row] - first)
      unsafe batch.items.pointer[end] = UInt32(rows.items[row])
      unsafe batch.labels.pointer[end] = rows.labels.map { Float($0[row]) } ?? 0
      end += 1
    }
    return end - start
  }
}

/// The real rules take the steps of the script, on several ranks and with both placements.
@Suite struct GoldenStepTests {
  private static let userStarts = [0, 1, 2, 3, 4, 5, 5, 5, 5]
  private static let itemStarts = [0, 2, 2, 3, 4, 4, 5, 6, 6]

  /// What a step did, with the parameters after it.
  private struct Taken: Sendable {
    var decision: Decision?
    var labeledLoss: Double
    var unlabeledLoss: Double
    /// User rows of this rank, all item rows that are here, the dense row: with padding.
    var users: [Float]
    var items: [Float]
    var heldItems: Range<Int>
    var dense: [Float]
  }

  private static func configuration(
    _ step: GoldenStep, _ problem: GoldenFile.Problem, _ tables: TablePlacement
  ) throws -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.method = try #require(Method(rawValue: step.objective))
    configuration.optimizer = try #require(OptimizerName(rawValue: step.optimizer))
    configuration.factors = problem.factors
    configuration.biases = true
    configuration.rate = step.beta
    configuration.weightDecay = step.weightDecay
    configuration.unlabeledWeight = step.lambda
    configuration.innerRate = step.alpha ?? 0
    configuration.innerStep = step.direction == "gradient" ? .gradient : .sign
    configuration.tables = tables
    return configuration
  }

  private static func take(
    _ step: GoldenStep, _ problem: GoldenFile.Problem, ranks: Int, _ tables: TablePlacement
  ) throws -> [Taken] {
    let configuration = try configuration(step, problem, tables)
    return try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: 8, rankCount: ranks)
      let backbone = GeneralizedMatrixFactorization(factors: problem.factors, hasBiases: true)
      let model = Model(
        configuration, backbone: backbone, userStarts: userStarts, itemStarts: itemStarts,
        tree: tree, rank: group.rank)
      problem.parameters.fill(model)
      let rows = LiteralRows(
        problem, userStarts: userStarts, own: tree.shards(of: group.rank))
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let rule: any UpdateRule =
        configuration.method == .ig
        ? InverseGradientRule(
          configuration: configuration, model: model, source: rows, context: context)
        : SupervisedRule(
          method: configuration.method, configuration: configuration, model: model,
          source: rows, context: context)
      let record = try rule.step(
        StepPosition(epoch: 0, step: 0, number: 0), isStopRequested: false)
      #expect(record.labeledRows == 8 && !record.isStopRequested)
      return withExtendedLifetime(model) {
        unsafe Taken(
          decision: record.decision, labeledLoss: record.labeledLoss,
          unlabeledLoss: record.unlabeledLoss, users: Array(model.users.weights.elements),
          items: Array(model.items.weights.elements), heldItems: model.items.held,
          dense: Array(model.dense.weights.elements))
      }
    }
  }

  /// Puts the ranks' parts together; replicas must agree.
  private static func joined(_ taken: [Taken]) -> Taken {
    var all = taken[0]
    for rank in taken.dropFirst() {
      #expect(rank.decision == all.decision && rank.labeledLoss == all.labeledLoss)
      #expect(rank.unlabeledLoss == all.unlabeledLoss && rank.dense == all.dense)
      all.users += rank.users
      if rank.heldItems == 0..<6 {
        #expect(rank.items == all.items)
      } else {
        all.items += rank.items
      }
    }
    return all
  }

  @Test func theFileHoldsEveryBranch() throws {
    let steps = try GoldenFile.load().steps
    let branches = Set(
      steps.compactMap { step in
        step.expected.decision.map { "\(step.direction ?? "") \($0) \(step.optimizer)" }
      })
    #expect(branches.count == 12 && steps.count == 18)
    #expect(Set(steps.map(\.objective)) == ["bce", "negatives", "idl", "ig"])
  }

  @Test(arguments: 0..<18) func stepsMatchTheIndependentScript(index: Int) throws {
    let file = try GoldenFile.load()
    let step = file.steps[index]
    let problem = try #require(file.problems[step.problem])
    let bound = GoldenBound(problem, step)
    let taken = Self.joined(try Self.take(step, problem, ranks: 1, .replicated))
    let rows = Double(problem.labeled.users.count)
    if let decision = step.expected.decision {
      #expect(taken.decision.map { "\($0)" } == decision)
      let loss = try #require(step.expected.losses?["none"])
      #expect(abs(taken.labeledLoss / rows - loss) <= bound.loss)
    } else {
      #expect(taken.decision == nil)
      let lambda = step.objective == "bce" ? 0 : step.lambda
      let loss = (taken.labeledLoss + lambda * taken.unlabeledLoss) / rows
      #expect(abs(loss - (step.expected.loss ?? .nan)) <= bound.loss)
    }
    let values = Parameters.all(
      users: taken.users, items: taken.items, dense: taken.dense, factors: problem.factors)
    let (targets, slopes) = (step.expected.parameters.all, step.expected.gradient.all)
    #expect(values.count == targets.count)
    var moved = 0
    for (place, before) in problem.parameters.all.enumerated() {
      let limit = bound.parameter(targets[place], gradient: slopes[place])
      #expect(abs(values[place] - targets[place]) <= limit, "\(step.name), parameter \(place)")
      if abs(before - targets[place]) > 2 * limit { moved += 1 }
    }
    // The bounds are worth something: though some rows are in no batch, a third of all parameters
    // moved more than twice as far as they allow.
    #expect(3 * moved > values.count, "\(step.name): \(moved) of \(values.count)")
  }

  /// Bits do not depend on the ranks or on where rows live.
  @Test(arguments: 0..<18) func everyNumberOfRanksTakesTheSameStep(index: Int) throws {
    let file = try GoldenFile.load()
    let step = file.steps[index]
    let problem = try #require(file.problems[step.problem])
    let alone = Self.joined(try Self.take(step, problem, ranks: 1, .replicated))
    for ranks in [1, 2, 3, 5, 8] {
      for tables in TablePlacement.allCases {
        let taken = Self.joined(try Self.take(step, problem, ranks: ranks, tables))
        #expect(taken.decision == alone.decision && taken.labeledLoss == alone.labeledLoss)
        #expect(taken.unlabeledLoss == alone.unlabeledLoss)
        #expect(taken.users.map(\.bitPattern) == alone.users.map(\.bitPattern))
        #expect(taken.items.map(\.bitPattern) == alone.items.map(\.bitPattern))
        #expect(taken.dense.map(\.bitPattern) == alone.dense.map(\.bitPattern))
      }
    }
  }
}
