import Backbones
import Kernels
import Sharding
import Testing

/// SASRec through the protocol.
@Suite struct SelfAttentionTests {
  /// About 300 roundings lie one behind the other between a parameter and a score or a gradient, and
  /// each of the five normalisations may stretch the differences before it threefold.
  private static let tolerance = 300 * 243 * roundoff

  private static func largest(_ values: [Double]) -> Double { values.map(abs).max() ?? 0 }

  @Test func passesMatchTheScript() throws {
    let golden = try AttentionGolden.load()
    let problem = golden.problem()
    let passes = try problem.run()
    let scale = Self.largest(golden.scores)
    for (score, expected) in zip(passes.scores, golden.scores) {
      #expect(abs(Double(score) - expected) <= Self.tolerance * scale)
    }
    let names = ["item.factors"] + problem.backbone.denseTensors.map(\.name)
    #expect(Set(names) == Set(golden.gradients.keys))
    let steepest = golden.gradients.values.map(Self.largest).max() ?? 0
    for name in names {
      let expected = try #require(golden.gradients[name])
      let found = passes.gradients(name, problem)
      #expect(found.count == expected.count)
      for (value, expected) in zip(found, expected) {
        #expect(abs(Double(value) - expected) <= Self.tolerance * steepest, "\(name)")
      }
    }
  }

  /// With dropout, too, a gradient is a difference of two objectives: both passes read one mask.
  ///
  /// A central difference over ±h along a direction of signs is off by O(h²) of the third
  /// derivative and by roundings over h; h = 2⁻⁹ leaves about 10⁻² of the steepest slope.
  @Test(arguments: [0, 0.5] as [Float]) func gradientsAreDifferences(dropout: Float) throws {
    let problem = try AttentionGolden.load().problem(dropout: dropout)
    let key = DropoutKey(seed: 7, step: 3)
    let passes = try problem.run(dropout: key)
    let h: Float = 0x1p-9
    var draws = Draws(seed: 5)
    for name in ["item.factors"] + problem.backbone.denseTensors.map(\.name) {
      let gradients = passes.gradients(name, problem)
      for place in (0..<4).map({ _ in draws.integer(below: gradients.count) }) {
        func objective(_ shift: Float) throws -> Double {
          var moved = problem
          let index = problem.places(name)[place]
          if name == "item.factors" {
            moved.items[index] += shift
          } else {
            moved.dense[index] += shift
          }
          return problem.objective(try moved.run(dropout: key))
        }
        let slope = try (objective(h) - objective(-h)) / Double(2 * h)
        let size = Self.largest(gradients.map { Double($0) })
        #expect(
          abs(slope - Double(gradients[place])) <= 0.02 * max(1, size), "\(name) \(place)")
      }
    }
  }

  /// Masks differ between steps; without a key there are none.
  @Test func dropoutIsForTrainingAlone() throws {
    let golden = try AttentionGolden.load()
    let (still, wet) = (golden.problem(), golden.problem(dropout: 0.5))
    let scores = try still.run().scores
    #expect(try wet.run().scores == scores)
    #expect(try still.run(dropout: DropoutKey(seed: 1, step: 1)).scores == scores)
    let first = try wet.run(dropout: DropoutKey(seed: 1, step: 1)).scores
    #expect(first != scores)
    #expect(try wet.run(dropout: DropoutKey(seed: 1, step: 1)).scores == first)
    #expect(try wet.run(dropout: DropoutKey(seed: 1, step: 2)).scores != first)
  }

  /// A model that could read more places scores a short sequence alike: there is no padding.
  @Test func lengthBeyondASequenceChangesNothing() throws {
    let golden = try AttentionGolden.load()
    let (short, long) = (try golden.problem().run(), try golden.problem(length: 19).run())
    #expect(short.scores == long.scores)
    #expect(short.items == long.items)
  }

  /// What comes later changes no score before it.
  @Test func aPlaceReadsWhatIsBeforeIt() throws {
    let problem = try AttentionGolden.load().problem()
    let scores = try problem.run().scores
    for (sequence, items) in problem.sequences.enumerated() {
      for place in items.indices {
        var changed = problem
        changed.sequences[sequence][place] = (items[place] + 1) % 7
        let others = try changed.run().scores
        for (index, row) in problem.rows.enumerated() {
          let isBehind = row.sequence == sequence && row.place >= place
          #expect(isBehind == (others[index] != scores[index]), "row \(index)")
        }
      }
    }
  }

  /// A shard without sequences gives zeros, and a leaf has no trace of what it held before.
  @Test func leavesAreOfTheirShardAlone() throws {
    let problem = try AttentionGolden.load().problem()
    let leaves = try problem.run().leaves
    #expect(leaves[1].allSatisfy { $0 == 0 })
    #expect(leaves.allSatisfy { $0.allSatisfy(\.isFinite) })
    var silent = problem
    for row in 0..<7 { silent.scoreGradients[row] = 0 }
    let others = try silent.run().leaves
    #expect(others[0].allSatisfy { $0 == 0 })
    #expect(others[2] == leaves[2] && others[3] == leaves[3])
  }

  @Test func namesAndPlacesOfTensors() {
    let backbone = SelfAttentiveRecommendation(
      .init(factors: 50, length: 50, blocks: 2, heads: 1, dropout: 0.5), itemCount: 9)
    #expect(backbone.userLayout.stride == 0 && backbone.itemLayout.stride == 56)
    #expect(backbone.denseTensors.count == 1 + 2 * 14 + 2)
    #expect(backbone.denseTensors[0].name == "positions.weight")
    #expect(backbone.denseTensors[3].name == "blocks.0.attention.query.weight")
    #expect(backbone.denseTensors[3].shape == [50, 50])
    #expect(backbone.denseTensors[30].name == "norm.bias")
    var end = 0
    for tensor in backbone.denseTensors {
      #expect(tensor.offset == end && end % 8 == 0)
      end += RowLayout.wholeBlocks(tensor.shape.reduce(1, *))
    }
    #expect(backbone.denseCount == end)
  }

  /// Xavier: uniform in ±√(6 / (rows + columns)); γ at 1, β and biases at 0.
  @Test func initialValues() {
    let backbone = SelfAttentiveRecommendation(
      .init(factors: 20, length: 30, blocks: 2, heads: 1, dropout: 0.5), itemCount: 9)
    let dense = AlignedBuffer<Float>(count: backbone.denseCount)
    unsafe backbone.initializeDense(dense.pointer, seed: 3)
    for tensor in backbone.denseTensors {
      let count = tensor.shape.reduce(1, *)
      let values = dense.values[tensor.offset..<tensor.offset + count].map { Double($0) }
      if tensor.shape.count == 1 {
        let value = tensor.name.contains("norm.weight") ? 1.0 : 0
        #expect(values.allSatisfy { $0 == value }, "\(tensor.name)")
      } else {
        let bound = (6 / Double(tensor.shape[0] + tensor.shape[1])).squareRoot()
        #expect(values.allSatisfy { abs($0) <= bound * (1 + roundoff) })
        #expect(Set(values).count > count * 9 / 10 && Self.largest(values) > 0.9 * bound)
      }
    }
  }
}
