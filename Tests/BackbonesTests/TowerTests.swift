import Backbones
import Kernels
import Sharding
import Testing

/// MLP and NeuMF through the protocol, against formulas in `Double`.
@Suite struct TowerTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let factors: Int
    let layers: Int
    let isJoint: Bool
    var testDescription: String { "\(isJoint ? "neumf" : "mlp") \(factors)x\(layers)" }

    func make() -> any Backbone {
      isJoint
        ? NeuralMatrixFactorization(factors: factors, layers: layers)
        : MultilayerPerceptron(factors: factors, layers: layers)
    }

    func oracle(_ problem: PassProblem, isAbsolute: Bool = false) -> TowerOracle {
      TowerOracle(
        problem: problem, factors: factors, layers: layers,
        productFactors: isJoint ? factors : 0, isAbsolute: isAbsolute)
    }
  }

  static let shapes = [false, true].flatMap { joint in
    [(8, 1), (8, 2), (8, 3), (16, 2)].map { Shape(factors: $0.0, layers: $0.1, isJoint: joint) }
  }

  /// Checks everything that `run` gives, given gradients in the order of the oracle's parameters.
  private func check(
    _ problem: PassProblem, _ shape: Shape, scores: [Double], gradients: [Double]
  ) throws {
    let passes = try problem.run()
    let absolute = shape.oracle(problem, isAbsolute: true)
    let (sizes, _) = absolute.differences()
    let factor = 1.01 * Double(absolute.roundings) * roundoff
    // A unit so near to its switch might be another in `Float`: the problem must not have one.
    let largest = absolute.evaluate(absolute.parameters).scores.max() ?? 0
    #expect(shape.oracle(problem).evaluate(shape.oracle(problem).parameters).nearest > 1e-5)
    for (score, expected) in zip(passes.scores, scores) {
      #expect(abs(Double(score) - expected) <= factor * largest)
    }
    let found = passes.users + passes.items + passes.dense
    #expect(found.count == gradients.count)
    for (place, expected) in gradients.enumerated() {
      #expect(
        abs(Double(found[place]) - expected) <= factor * sizes[place] + 1e-9 * largest,
        "parameter \(place)")
    }
  }

  @Test(arguments: shapes) func gradientsAreDifferences(shape: Shape) throws {
    let problem = PassProblem(shape.make(), seed: UInt64(shape.factors + shape.layers))
    let oracle = shape.oracle(problem)
    let (gradients, isSmooth) = oracle.differences()
    #expect(isSmooth)
    try check(
      problem, shape, scores: oracle.evaluate(oracle.parameters).scores, gradients: gradients)
  }

  @Test(arguments: [false, true]) func passesMatchTheScript(isJoint: Bool) throws {
    let golden = try #require(try PerceptronGolden.load(isJoint ? "neumf" : "mlp"))
    let shape = Shape(factors: golden.factors, layers: golden.layers, isJoint: isJoint)
    let backbone = shape.make()
    let problem = golden.problem(backbone)
    var dense = [Double](repeating: 0, count: backbone.denseCount)
    for tensor in backbone.denseTensors {
      let values = try #require(golden.gradients[tensor.name])
      #expect(values.count == tensor.shape.reduce(1, *))
      dense.replaceSubrange(tensor.offset..<tensor.offset + values.count, with: values)
    }
    let rows = try ["user.factors", "item.factors"].flatMap {
      try #require(golden.gradients[$0])
    }
    try check(problem, shape, scores: golden.scores, gradients: rows + dense)
  }

  /// A joined model scores the mean of what it was joined of.
  @Test func joinedScoresMatchTheScript() throws {
    let golden = try #require(try PerceptronGolden.load("neumf"))
    let joined = try #require(golden.joined)
    let neumf = NeuralMatrixFactorization(factors: golden.factors, layers: golden.layers)
    var problem = golden.problem(neumf)
    let parts = neumf.parts
    for place in 0..<2 * golden.factors { problem.dense[parts.outputOffset + place] /= 2 }
    problem.dense[parts.outputBiasOffset] = Float((joined.gmfBias + joined.mlpBias) / 2)
    let absolute = TowerOracle(
      problem: problem, factors: golden.factors, layers: golden.layers,
      productFactors: golden.factors, isAbsolute: true)
    let bounds = absolute.evaluate(absolute.parameters).scores
    for (row, score) in try problem.run().scores.enumerated() {
      let bound = 1.01 * Double(absolute.roundings) * roundoff * bounds[row]
      #expect(abs(Double(score) - joined.scores[row]) <= bound)
      #expect(abs(joined.scores[row] - (joined.gmf[row] + joined.mlp[row]) / 2) <= 1e-12)
    }
  }

  /// A shard without rows gives zeros, and a leaf has no trace of what it held before.
  @Test(arguments: shapes) func leavesAreOfTheirShardAlone(shape: Shape) throws {
    let problem = PassProblem(shape.make(), seed: 1)
    let leaves = try problem.run().leaves
    #expect(leaves[1].allSatisfy { $0 == 0 })
    #expect(leaves.allSatisfy { $0.allSatisfy(\.isFinite) })
    var silent = problem
    for row in 5..<12 { silent.scoreGradients[row] = 0 }
    let others = try silent.run().leaves
    #expect(others[2].allSatisfy { $0 == 0 })
    #expect(others[0] == leaves[0] && others[3] == leaves[3])
  }

  /// A row has the same score whatever shares its shard with it, within rounding: a library may add
  /// in another order when a matrix has fewer rows.
  @Test(arguments: shapes) func aRowScoresAlikeAloneAndInABatch(shape: Shape) throws {
    let problem = PassProblem(shape.make(), seed: 2)
    let absolute = shape.oracle(problem, isAbsolute: true)
    let bounds = absolute.evaluate(absolute.parameters).scores
    let scores = try problem.run().scores
    for row in 0..<PassProblem.rowCount {
      var alone = problem
      // The last shard has one row.
      alone.userIndex[12] = problem.userIndex[row]
      alone.itemIndex[12] = problem.itemIndex[row]
      let score = try alone.run().scores[12]
      let bound = 2.02 * Double(absolute.roundings) * roundoff * bounds[row]
      #expect(abs(Double(score) - Double(scores[row])) <= bound)
    }
  }

  @Test func namesAndPlacesOfTensors() {
    let mlp = MultilayerPerceptron(factors: 32, layers: 3)
    #expect(mlp.userLayout == RowLayout(factors: 128, hasBias: false))
    #expect(mlp.keepsIntermediates)
    let shapes = [[128, 256], [128], [64, 128], [64], [32, 64], [32], [1, 32], [1]]
    let names =
      (0..<3).flatMap { ["tower.\($0).weight", "tower.\($0).bias"] }
      + ["output.weight", "output.bias"]
    #expect(mlp.denseTensors.map(\.shape) == shapes && mlp.denseTensors.map(\.name) == names)
    var end = 0
    for tensor in mlp.denseTensors {
      #expect(tensor.offset == end && end % 8 == 0)
      end += tensor.shape.reduce(1, *)
    }
    // 43,265 parameters and 7 places of padding.
    #expect(end == 43_265 && mlp.denseCount == 43_272)
    let neumf = NeuralMatrixFactorization(factors: 32, layers: 3)
    #expect(neumf.userLayout == RowLayout(factors: 160, hasBias: false))
    #expect(neumf.denseTensors[6].shape == [1, 64] && neumf.denseCount == 43_304)
  }

  /// Xavier: uniform in ±√(6 / (inputs + outputs)). Of n draws in ±b the mean of squares, b²/3, has
  /// deviation b²√(4/(45n)); five are allowed.
  @Test func initialWeightsAreUniform() {
    let neumf = NeuralMatrixFactorization(factors: 32, layers: 3)
    func dense(_ seed: UInt64) -> [Float] {
      let buffer = AlignedBuffer<Float>(count: neumf.denseCount)
      unsafe neumf.initializeDense(buffer.pointer, seed: seed)
      return buffer.values
    }
    let values = dense(3)
    #expect(values == dense(3) && values != dense(4))
    for tensor in neumf.denseTensors {
      let count = tensor.shape.reduce(1, *)
      let part = values[tensor.offset..<tensor.offset + count].map { Double($0) }
      guard tensor.shape.count == 2 else {
        #expect(part.allSatisfy { $0 == 0 })
        continue
      }
      let bound = (6 / Double(tensor.shape[0] + tensor.shape[1])).squareRoot()
      #expect(part.allSatisfy { abs($0) <= bound * (1 + roundoff) })
      let square = part.reduce(0) { $0 + $1 * $1 } / Double(count)
      let deviation = bound * bound * (4 / (45 * Double(count))).squareRoot()
      #expect(abs(square - bound * bound / 3) <= 5 * deviation, "\(tensor.name)")
    }
    // No matrix starts like another.
    let starts = neumf.denseTensors.filter { $0.shape.count == 2 }.map { values[$0.offset] }
    #expect(Set(starts).count == starts.count)
  }

  @Test func rowsDoNotDependOnHowTablesAreSplit() {
    let neumf = NeuralMatrixFactorization(factors: 8, layers: 2)
    func users(_ rows: Range<Int>) -> [Float] {
      let table = RowTable(
        layout: neumf.userLayout, held: 0..<rows.count, owned: 0..<rows.count,
        optimizer: .gradientDescent)
      neumf.initializeUsers(table, firstRow: rows.lowerBound, seed: 4)
      return table.values
    }
    let all = users(0..<20)
    #expect(users(7..<19) == Array(all[7 * 24..<19 * 24]))
    #expect(Set(all).count == all.count)
  }
}
