import Backbones
import Kernels
import Sharding
import Testing

/// LightGCN, NGCF and PinSage against dense matrices in `float64`, over ranks.
@Suite struct GraphModelTests {
  static let names = ["lightgcn", "ngcf", "pinsage", "ngcf-node-dropout"]
  static let golden = try? GraphGolden.load()

  private func problem(
    _ name: String, dropout: Float = 0, copies: Int = 1
  ) throws -> GraphProblem {
    let golden = try #require(Self.golden)
    let model = try #require(golden.models[name])
    var problem = golden.problem(model, copies: copies) {
      switch name {
      case "lightgcn": LightGraphConvolution(factors: model.factors, layers: model.layers)
      case "ngcf", "ngcf-node-dropout":
        NeuralGraphCollaborativeFiltering(
          .init(
            factors: model.factors, layers: model.layers, dropout: dropout,
            nodeDropout: name == "ngcf" ? 0 : 0.3), userCount: 7 * copies,
          itemCount: 6 * copies)
      default:
        PinSage(
          factors: model.factors, layers: model.layers,
          walks: .init(seed: 1, walks: 1, length: 1, neighbours: 1), userCount: 7 * copies,
          itemCount: 6 * copies)
      }
    }
    // The step whose masks the script draws; the other models of the script have none.
    if name == "ngcf-node-dropout" { problem.dropout = DropoutKey(seed: 3, step: 7) }
    return problem
  }

  /// What rounding may change: numbers pass at most 20 sums of at most 24 terms, forward and backward,
  /// each of which is wrong by a unit in the last place of its largest term for every term; no term is
  /// larger than 8 times the largest result of its tensor. A mistake shows in the first digits.
  /// With `copies` of a graph sums have as many times more terms.
  private func isClose(_ found: [Float], _ expected: [Double], copies: Int = 1) -> Bool {
    let largest = expected.reduce(0) { max($0, abs($1)) }
    return found.count == expected.count
      && zip(found, expected).allSatisfy {
        abs(Double($0) - $1) <= 20 * 24 * Double(copies) * roundoff * 8 * largest
      }
  }

  /// The values of padded rows, in parts of `width` columns padded to whole blocks each.
  private func values(_ rows: [Float], width: Int) -> [Float] {
    let stride = RowLayout.wholeBlocks(width)
    return rows.indices.filter { $0 % stride < width }.map { rows[$0] }
  }

  @Test(arguments: names, [1, 3]) func passesMatchTheScript(name: String, ranks: Int) throws {
    let problem = try problem(name)
    let (model, backbone) = (problem.model, problem.makeBackbone())
    let passes = try problem.run(ranks: ranks)
    let (users, items) = (
      values(passes.users, width: model.factors), values(passes.items, width: model.factors)
    )
    #expect(isClose(users, model.users))
    #expect(isClose(items, model.items))
    let width = users.count / 7
    let scores = model.pairs.map { pair in
      (0..<width).reduce(Float(0)) {
        $0 + users[pair[0] * width + $1] * items[pair[1] * width + $1]
      }
    }
    #expect(isClose(scores, model.scores))
    let (userGradients, itemGradients) = (
      values(passes.userGradients, width: model.factors),
      values(passes.itemGradients, width: model.factors)
    )
    #expect(isClose(userGradients, try #require(model.gradients["user.factors"])))
    #expect(isClose(itemGradients, try #require(model.gradients["item.factors"])))
    #expect(
      Set(backbone.denseTensors.map(\.name) + ["user.factors", "item.factors"])
        == Set(model.gradients.keys))
    let dense = (0..<backbone.denseCount).map { place in
      passes.leaves.reduce(Float(0)) { $0 + $1[place] }
    }
    for tensor in backbone.denseTensors {
      let part = dense[tensor.offset..<tensor.offset + tensor.shape.reduce(1, *)]
      #expect(isClose(Array(part), try #require(model.gradients[tensor.name])), "\(tensor.name)")
    }
  }

  /// Graphs whose shards are cut into several blocks: 400 rows of a shard are two. A block that is
  /// missing or is taken twice changes dense gradients by a third, which is eight times what is allowed.
  @Test(arguments: ["lightgcn", "ngcf", "pinsage"], [1, 3])
  func shardsOfSeveralBlocksMatchTheScript(name: String, ranks: Int) throws {
    let copies = 200
    let problem = try problem(name, copies: copies)
    let (model, backbone) = (problem.model, problem.makeBackbone())
    let passes = try problem.run(ranks: ranks)
    func check(_ rows: [Float], _ expected: [Double], _ width: Int) {
      let found = values(rows, width: model.factors)
      for node in 0..<expected.count / width {
        for copy in [0, 1, 127, 128, 199] {
          let start = (node * copies + copy) * width
          #expect(
            isClose(
              Array(found[start..<start + width]),
              Array(expected[node * width..<(node + 1) * width])), "node \(node), copy \(copy)")
        }
      }
    }
    let scored = model.users.count / 7
    check(passes.users, model.users, scored)
    check(passes.items, model.items, scored)
    check(
      passes.userGradients, try #require(model.gradients["user.factors"]), model.factors)
    check(
      passes.itemGradients, try #require(model.gradients["item.factors"]), model.factors)
    for tensor in backbone.denseTensors {
      let range = tensor.offset..<tensor.offset + tensor.shape.reduce(1, *)
      let found = range.map { place in passes.leaves.reduce(Float(0)) { $0 + $1[place] } }
      let expected = try #require(model.gradients[tensor.name]).map { $0 * Double(copies) }
      #expect(isClose(found, expected, copies: copies), "\(tensor.name)")
    }
  }

  /// Without this a test of closeness could pass on anything.
  @Test func whatIsNotCloseIsSeen() {
    #expect(!isClose([1, 0.999], [1, 1]))
    #expect(isClose([1, 0.99999], [1, 1]))
  }

  @Test(arguments: names, [0, Float(0.3)])
  func everyNumberOfRanksGivesTheSameBits(name: String, dropout: Float) throws {
    var problem = try problem(name, dropout: dropout)
    problem.dropout = DropoutKey(seed: 3, step: 7)
    let alone = try problem.run(ranks: 1)
    for ranks in [2, 3, 4, 5, 7, 8] { #expect(try problem.run(ranks: ranks) == alone) }
    problem.isOrdered = false
    let native = try problem.run(ranks: 3)
    #expect(isClose(native.userGradients, alone.userGradients.map { Double($0) }))
    #expect(isClose(native.itemGradients, alone.itemGradients.map { Double($0) }))
  }

  /// The candidates of an inverse gradient step are propagated while the gradients wait.
  @Test(arguments: names) func gradientsOutliveForwardPasses(name: String) throws {
    let passes = try problem(name).run(ranks: 2)
    #expect(passes.laterGradients.count == passes.userGradients.count + passes.itemGradients.count)
    #expect(passes.laterGradients == (passes.userGradients + passes.itemGradients).sorted())
  }

  /// Dropout is of training alone, and another mask in every step.
  @Test(arguments: [("ngcf", Float(0.3)), ("ngcf-node-dropout", 0)])
  func masksAreOfSteps(name: String, dropout: Float) throws {
    var problem = try problem(name, dropout: dropout)
    problem.dropout = nil
    let asked = try problem.run(ranks: 1)
    #expect(asked == (try withoutDropout(like: problem)))
    problem.dropout = DropoutKey(seed: 3, step: 1)
    let first = try problem.run(ranks: 1)
    #expect(first == (try problem.run(ranks: 1)) && first != asked)
    problem.dropout = DropoutKey(seed: 3, step: 2)
    #expect(try problem.run(ranks: 1) != first)
    problem.dropout = DropoutKey(seed: 4, step: 1)
    #expect(try problem.run(ranks: 1) != first)
  }

  private func withoutDropout(like problem: GraphProblem) throws -> GraphProblem.Passes {
    let model = problem.model
    return try #require(Self.golden).problem(model) {
      NeuralGraphCollaborativeFiltering(
        .init(factors: model.factors, layers: model.layers, dropout: 0), userCount: 7, itemCount: 6)
    }.run(ranks: 1)
  }

  /// The score of two rows and its gradients, for any number of factors.
  @Test(arguments: [1, 7, 8, 9, 31]) func aScoreIsAProduct(factors: Int) throws {
    let problem = PassProblem(LightGraphConvolution(factors: factors, layers: 1), seed: 9)
    let passes = try problem.run()
    let stride = problem.backbone.userLayout.stride
    var users = [Double](repeating: 0, count: problem.users.count)
    var items = [Double](repeating: 0, count: problem.items.count)
    for row in problem.userIndex.indices {
      let (p, q) = (Int(problem.userIndex[row]) * stride, Int(problem.itemIndex[row]) * stride)
      var score = 0.0
      for column in 0..<factors {
        let (x, y) = (Double(problem.users[p + column]), Double(problem.items[q + column]))
        score += x * y
        users[p + column] += Double(problem.scoreGradients[row]) * y
        items[q + column] += Double(problem.scoreGradients[row]) * x
      }
      // Factors of at most 1, and a rounding for each product and each sum.
      #expect(abs(Double(passes.scores[row]) - score) <= 2 * Double(factors * factors) * roundoff)
    }
    for place in users.indices where place % stride < factors {
      #expect(abs(Double(passes.users[place]) - users[place]) <= 2 * 13 * 13 * roundoff)
    }
    for place in items.indices where place % stride < factors {
      #expect(abs(Double(passes.items[place]) - items[place]) <= 2 * 13 * 13 * roundoff)
    }
  }
}
