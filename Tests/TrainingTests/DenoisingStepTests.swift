import Backbones
import Fabric
import Kernels
import Sharding
import Testing
import Training

/// The real rule takes the steps of `denoising.py`, on several ranks and with both placements.
@Suite struct DenoisingStepTests {
  private static let userStarts = [0, 1, 2, 3, 4, 5, 5, 5, 5]
  private static let itemStarts = [0, 2, 2, 3, 4, 4, 5, 6, 6]

  /// What a step did, with the parameters after it.
  private struct Taken: Sendable {
    var labeledRows: Int
    var lossTerms: Int
    var labeledLoss: Double
    var unlabeledLoss: Double
    /// User rows of this rank, item rows that are here, the dense row: with padding.
    var users: [Float]
    var items: [Float]
    var holdsAllItems: Bool
    var dense: [Float]
  }

  private static func configuration(
    _ one: DenoisingFile.Case, factors: Int, _ tables: TablePlacement
  ) throws -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.method = try #require(Method(rawValue: one.method))
    configuration.optimizer = try #require(OptimizerName(rawValue: one.optimizer))
    configuration.factors = factors
    configuration.biases = true
    configuration.rate = one.beta
    configuration.dropRate = one.dropRate
    configuration.dropSteps = one.dropSteps
    configuration.reweightPower = one.reweightPower
    configuration.rowDecay = one.rowDecay
    configuration.outputWeights = one.trainsOutput ? .trained : .ones
    configuration.tables = tables
    return configuration
  }

  /// For each step what each rank has.
  private static func take(
    _ one: DenoisingFile.Case, factors: Int, ranks: Int, _ tables: TablePlacement
  ) throws -> [Taken] {
    let configuration = try configuration(one, factors: factors, tables)
    let taken = try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: 8, rankCount: ranks)
      let model = Model(
        configuration,
        backbone: GeneralizedMatrixFactorization(
          factors: factors, hasBiases: true, trainsOutput: one.trainsOutput),
        userStarts: userStarts, itemStarts: itemStarts, tree: tree, rank: group.rank)
      let rule = SupervisedRule(
        method: configuration.method, configuration: configuration, model: model,
        source: DenoisingRows(
          one.steps, userStarts: userStarts, own: tree.shards(of: group.rank)),
        context: JobContext(group: group, tree: tree, configuration: configuration))
      return try one.steps.indices.map { step in
        one.start(of: step).fill(model)
        let record = try rule.step(
          StepPosition(epoch: 0, step: step, number: step), isStopRequested: false)
        return withExtendedLifetime(model) {
          unsafe Taken(
            labeledRows: record.labeledRows, lossTerms: record.lossTerms,
            labeledLoss: record.labeledLoss, unlabeledLoss: record.unlabeledLoss,
            users: Array(model.users.weights.elements),
            items: Array(model.items.weights.elements),
            holdsAllItems: model.items.held == 0..<6, dense: Array(model.dense.weights.elements))
        }
      }
    }
    return one.steps.indices.map { step in joined(taken.map { $0[step] }) }
  }

  /// Puts the ranks' parts together; replicas must agree.
  private static func joined(_ taken: [Taken]) -> Taken {
    var all = taken[0]
    for rank in taken.dropFirst() {
      #expect(rank.labeledLoss == all.labeledLoss && rank.dense == all.dense)
      #expect(rank.lossTerms == all.lossTerms)
      all.users += rank.users
      if rank.holdsAllItems {
        #expect(rank.items == all.items)
      } else {
        all.items += rank.items
      }
    }
    return all
  }

  @Test func theFileHoldsWhatIsHard() throws {
    let cases = try DenoisingFile.load().cases
    #expect(cases.count == 12 && Set(cases.map(\.method)) == ["t-ce", "r-ce", "bpr"])
    // More than the eight labeled rows go.
    #expect(cases.contains { $0.steps.contains { $0.dropped > 8 } })
    #expect(cases.contains { !$0.trainsOutput } && cases.contains { $0.rowDecay > 0 })
    #expect(cases.map(\.steps.count).reduce(0, +) == 32)
  }

  @Test(arguments: 0..<12) func stepsMatchTheIndependentScript(index: Int) throws {
    let file = try DenoisingFile.load()
    let one = file.cases[index]
    let taken = try Self.take(one, factors: file.factors, ranks: 1, .replicated)
    var gradientError = 0.0
    for (number, (step, taken)) in zip(one.steps, taken).enumerated() {
      let start = one.start(of: number)
      let bound = DenoisingBound(start, step, one)
      // Moments remember the errors of all steps; the sensitivity is per unit of the largest.
      gradientError = max(gradientError, bound.gradient)
      #expect(taken.lossTerms == step.terms && taken.labeledRows == 8)
      let rows = Double(step.labeled.users.count + step.unlabeled.users.count)
      #expect(abs(taken.labeledLoss - step.labeledLoss) <= rows * bound.loss)
      #expect(abs(taken.unlabeledLoss - step.unlabeledLoss) <= rows * bound.loss)
      let values = Parameters.all(
        users: taken.users, items: taken.items, dense: taken.dense, factors: file.factors)
      let (targets, slopes) = (step.parameters.all, step.sensitivity.all)
      #expect(values.count == targets.count)
      var moved = 0
      for (place, before) in start.all.enumerated() {
        // The start is rounded once; the optimizer's own arithmetic has at most 20 roundings of a
        // move of at most β (3 β for a gradient of up to 3), and the corrections of Adam come from
        // β of Float, good to 3e-5.
        let move = abs(targets[place] - before)
        let limit =
          slopes[place] * gradientError + 2 * roundoff * (abs(before) + abs(targets[place]))
          + (20 * roundoff + (one.optimizer == "adam" ? 6e-5 : 0)) * move
        #expect(
          abs(values[place] - targets[place]) <= limit,
          "\(one.name), step \(number), parameter \(place)")
        if move > 2 * limit { moved += 1 }
      }
      // The bounds are worth something: though some rows are in no batch, or only in dropped rows,
      // a quarter of all parameters moved more than twice as far as they allow.
      #expect(4 * moved > values.count, "\(one.name): \(moved) of \(values.count)")
    }
  }

  /// Bits do not depend on the ranks or on where rows live.
  @Test(arguments: 0..<12) func everyNumberOfRanksTakesTheSameSteps(index: Int) throws {
    let file = try DenoisingFile.load()
    let one = file.cases[index]
    let alone = try Self.take(one, factors: file.factors, ranks: 1, .replicated)
    for ranks in [1, 2, 3, 5, 8] {
      for tables in TablePlacement.allCases {
        let taken = try Self.take(one, factors: file.factors, ranks: ranks, tables)
        for (some, all) in zip(taken, alone) {
          #expect(some.labeledLoss == all.labeledLoss)
          #expect(some.unlabeledLoss == all.unlabeledLoss)
          #expect(some.users.map(\.bitPattern) == all.users.map(\.bitPattern))
          #expect(some.items.map(\.bitPattern) == all.items.map(\.bitPattern))
          #expect(some.dense.map(\.bitPattern) == all.dense.map(\.bitPattern))
        }
      }
    }
  }
}

/// How far `Float` may lead from the script's `Double` within one step, to first order and with
/// every rounding at its worst.
private struct DenoisingBound {
  /// Of the loss of one row or pair.
  let loss: Double
  /// Of a gradient.
  let gradient: Double

  init(_ start: Parameters, _ step: DenoisingFile.Step, _ one: DenoisingFile.Case) {
    let largest = start.all.map { abs($0) }.max() ?? 0
    // The largest sum over factors of |w p q| with the biases, and the largest |w p|, |w q|, |p q|.
    var (score, product) = (0.0, 1.0)
    for rows in [step.labeled, step.unlabeled] {
      for (user, item) in zip(rows.users, rows.items) {
        var sum = 3 * largest
        for (factor, w) in start.weight.enumerated() {
          let (p, q) = (start.userRows[user][factor], start.itemRows[item][factor])
          sum += abs(w * p * q)
          product = max(product, abs(p * q), abs(w * q), abs(w * p))
        }
        score = max(score, sum)
      }
    }
    // A score takes 11 roundings, of parameters that were rounded, and a margin is one of two.
    let scoreError = 2 * (11 + 3) * roundoff * score
    // A loss changes by at most 1 per unit of score, weighted (1 + β)-fold at most with β ≤ 1.
    loss = 2 * (scoreError + 8 * roundoff * (1 + score))
    // A derivative by a score changes by at most ¼ + β per unit, is good to 8 ulp, and a gradient
    // is a mean over at most two rows each with at most 20 roundings a term. Decay is λ times a
    // mean of parameters.
    gradient =
      2 * product * (0.5 * scoreError + (8 + 20) * roundoff)
      + 20 * roundoff * one.rowDecay * largest
  }
}
