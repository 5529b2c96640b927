import Backbones
import Fabric
import Interactions
import Kernels
import Sharding
import Testing
import Training

/// Steps of models that propagate.
@Suite struct GraphStepTests {
  /// Plain gradient steps of rate 1, so that differences of parameters are gradients.
  private static func configuration(
    _ backbone: BackboneName, _ method: Method
  ) -> TrainingConfiguration {
    .brief(method) {
      $0.backbone = backbone
      $0.biases = false
      $0.factors = 8
      $0.layers = 2
      $0.optimizer = .sgd
      $0.rate = 1
      $0.weightDecay = 0
      if backbone == .ngcf { ($0.dropout, $0.nodeDropout) = (0.2, 0.1) }
    }
  }

  @Test func aPositivePairIsOneEdge() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    for (user, item, rating) in [
      (0, 0, 5), (0, 0, 5), (0, 1, 1), (1, 0, 5), (1, 2, 4), (1, 2, 5), (2, 1, 1),
    ] {
      log.add(user, item, rating)
    }
    log.add(2, 2, nil)
    for item in 0..<3 { log.add(item, 3, 5, to: .valid) }
    for item in 0..<3 { log.add(item, 4, 5, to: .test) }
    let dataset = try log.prepare(in: directory)
    for ranks in [1, 3] {
      let degrees = try LocalGroup.run(ranks: ranks) { group in
        let tree = ShardTree(shardCount: dataset.shardCount, rankCount: ranks)
        let graph = try InteractionGraph(
          dataset,
          context: JobContext(group: group, tree: tree, configuration: TrainingConfiguration()))
        return [graph.userDegrees, graph.itemDegrees]
      }
      // One for the first user, two for the second, none for the third, in the order of shards.
      #expect(degrees.flatMap { $0[0] }.sorted() == [0, 1, 2])
      for rank in degrees { #expect(rank[1].sorted() == [0, 0, 0, 1, 2]) }
    }
  }

  /// ½ λ mean(‖p‖² + ‖q‖²) over the rows of the batch: of tables, not of propagated rows.
  ///
  /// Central differences of a square are exact but for rounding. θ is below 1, and each of both runs
  /// rounds θ and its gradient, which is below 1 too, a few times.
  @Test(arguments: BackboneName.graphModels) func decayPullsAtRowsOfTables(
    backbone: BackboneName
  ) throws {
    var configuration = Self.configuration(backbone, .bce)
    let plain = try GraphModel.step(configuration, rows: 1)
    configuration.rowDecay = 0.5
    let decayed = try GraphModel.step(configuration, rows: 1)
    let rows = (0..<DrawnRows.shardCount).flatMap {
      DrawnRows.rows(.labeled, step: 1, shard: $0)
    }
    func penalty(_ parameters: [Double]) -> Double {
      let squares = rows.reduce(0.0) { sum, row in
        (row.user * 8..<row.user * 8 + 8).reduce(sum) { $0 + parameters[$1] * parameters[$1] }
          + (128 + row.item * 8..<136 + row.item * 8).reduce(0) {
            $0 + parameters[$1] * parameters[$1]
          }
      }
      return 0.5 * 0.5 * squares / Double(rows.count)
    }
    var moved = plain.before.map { Double($0) }
    var largest = 0.0
    for place in moved.indices {
      let kept = moved[place]
      moved[place] = kept + 0.25
      let above = penalty(moved)
      moved[place] = kept - 0.25
      let gradient = (above - penalty(moved)) / 0.5
      moved[place] = kept
      let found = Double(plain.after[place]) - Double(decayed.after[place])
      #expect(abs(found - gradient) <= 8 * roundoff, "parameter \(place)")
      largest = max(largest, abs(gradient))
    }
    // Without this a decay of nothing would pass.
    #expect(largest > 1e-3)
  }

  /// A step of the inverse gradient keeps the virtual step that won, whole, and puts back the others to
  /// the bit. The virtual step is the unlabeled part of a step of `idl`.
  ///
  /// A rate of 10⁻³⁰ changes no parameter, so what is left is the virtual step. Three runs round θ,
  /// below 1, once or twice each, of which the inner rate, if it is above 1, makes as much more.
  @Test(arguments: BackboneName.graphModels) func theWinnerIsTheVirtualStep(
    backbone: BackboneName
  ) throws {
    var seen: Set<Int> = []
    for step in 0..<12 {
      for rate in [0.01, 1, 1e5] {
        var configuration = Self.configuration(backbone, .bce)
        configuration.seed = UInt64(step + 1)
        let labeled = try GraphModel.step(configuration, rows: step).after
        configuration.method = .idl
        configuration.unlabeledWeight = 1
        let both = try GraphModel.step(configuration, rows: step).after
        configuration.method = .ig
        configuration.rate = 1e-30
        configuration.innerRate = rate
        configuration.innerStep = .gradient
        let judged = try GraphModel.step(configuration, rows: step)
        let decision = try #require(judged.record.decision)
        seen.insert(decision.rawValue)
        if decision == .none {
          // To the bit, but for what the rate moves parameters that are zero.
          for (after, before) in zip(judged.after, judged.before) {
            #expect(before == 0 ? abs(after) < 1e-25 : after == before)
          }
          continue
        }
        let factor = decision == .direct ? 1.0 : -1.0
        for place in labeled.indices {
          let shift = factor * rate * (Double(labeled[place]) - Double(both[place]))
          let found = Double(judged.before[place]) - Double(judged.after[place])
          #expect(abs(found - shift) <= 8 * roundoff * max(1, rate) + 4 * roundoff * abs(shift))
        }
        #expect(judged.after != judged.before)
      }
    }
    #expect(seen.count == 3)
  }

  /// What a step costs in messages, exactly; docs/decisions/0014-propagation.md has the numbers.
  @Test(arguments: BackboneName.graphModels, Method.allCases)
  func collectivesPerStep(backbone: BackboneName, method: Method) throws {
    for (layers, decay) in [(1, 0.0), (3, 0.0), (3, 0.1)] {
      var configuration = Self.configuration(backbone, method)
      (configuration.layers, configuration.rowDecay) = (layers, decay)
      configuration.rate = 0.01
      let forward = backbone == .pinsage ? layers + 1 : 2 * layers + 1
      // The layers' way back, and before it two for the propagated rows of items.
      let backward = 2 * layers + 2
      for ranks in [2, 3] {
        let seen = try Self.seen(configuration, ranks: ranks)
        for step in seen.joined() {
          let expected =
            if method == .ig {
              // The winner is propagated again if it moved; three reductions.
              forward * (step.decision == Decision.none ? 4 : 5) + 2 * backward + 3
            } else {
              forward + backward + 1 + BudgetTests.more(method)
            }
          #expect(step.collectives == expected + (decay > 0 ? 2 : 0), "\(layers) layers")
        }
      }
      #expect(try Self.seen(configuration, ranks: 1).joined().allSatisfy { $0.collectives == 0 })
    }
  }

  private static func seen(
    _ configuration: TrainingConfiguration, ranks: Int
  ) throws -> [[BudgetTests.Seen]] {
    try LocalGroup.run(ranks: ranks) { group in
      let tree = ShardTree(shardCount: DrawnRows.shardCount, rankCount: ranks)
      let model = try GraphModel.make(configuration, tree: tree, group: group)
      let schedule = StepSchedule(
        configuration, model: model, source: DrawnRows(own: tree.shards(of: group.rank)),
        context: JobContext(group: group, tree: tree, configuration: configuration))
      return try (0..<4).map { step in
        let before = group.traffic
        let record = try schedule.rule(for: step).step(
          StepPosition(epoch: 0, step: step, number: step), isStopRequested: false)
        return BudgetTests.Seen(
          collectives: group.traffic.collectives - before.collectives,
          bytesSent: group.traffic.bytesSent - before.bytesSent, decision: record.decision)
      }.dropFirst().map { $0 }
    }
  }
}
