import Backbones
import Checkpoints
import Foundation
import Kernels
import Sharding
import Storage
import Testing

private let data = ProcessInfo.processInfo.environment["INVERSE_DATA"]

/// The weights that the authors of *Neural Collaborative Filtering* published for MovieLens 1M, on
/// their leave-one-out test: one item against 99 others for each of 6,040 users.
@Suite(.enabled(if: data != nil, "INVERSE_DATA does not name the folder of real data"))
struct PublishedWeightsTests {
  private let file: TensorFile.Reader
  private let candidates: [[UInt32]]

  init() throws {
    let folder = try #require(data) + "/ncf-ml-1m"
    file = try TensorFile.Reader(path: "\(folder)/pretrained.safetensors")
    let lines = String(decoding: try Files.read("\(folder)/test.negative"), as: UTF8.self)
    candidates = try lines.split(separator: "\n").enumerated().map { user, line in
      let fields = line.split(separator: "\t")
      let positive = fields[0].dropFirst().dropLast().split(separator: ",")
      try #require(Int(positive[0]) == user)
      let items = ([positive[1]] + fields.dropFirst()).compactMap { UInt32($0) }
      // Listed twice it is one candidate; the positive comes first.
      var seen = Set<UInt32>()
      return items.filter { seen.insert($0).inserted }
    }
  }

  private func values(_ name: String) throws -> [Float] { try file.values(name, as: Float.self) }

  /// Weights of the file are (inputs, outputs).
  private func transposed(_ name: String, inputs: Int) throws -> [Float] {
    let weights = try values(name)
    let outputs = weights.count / inputs
    return (0..<outputs).flatMap { output in
      (0..<inputs).map { weights[$0 * outputs + output] }
    }
  }

  private func tower() throws -> [Float] {
    try (1...3).flatMap { layer in
      try transposed("mlp.layer\(layer).weight", inputs: 128 >> layer)
        + values("mlp.layer\(layer).bias")
    }
  }

  /// HR@10 and NDCG@10; the rank is the number of candidates with a higher score.
  private func figures(
    _ backbone: any Backbone, users: [Float], items: [Float], dense: [Float]
  ) throws -> (hits: Double, ndcg: Double) {
    let (users, items) = (buffer(users), buffer(items))
    let dense = buffer(dense + [Float](repeating: 0, count: backbone.denseCount - dense.count))
    let (starts, shards) = (AlignedBuffer<UInt32>(count: 2), AlignedBuffer<UInt32>(count: 1))
    let shardOfRow = AlignedBuffer<UInt16>(count: 100)
    let (userIndex, itemIndex) = (
      AlignedBuffer<UInt32>(count: 100), AlignedBuffer<UInt32>(count: 100)
    )
    let scores = AlignedBuffer<Float>(count: 100)
    var (hits, ndcg) = (0.0, 0.0)
    for (user, candidates) in candidates.enumerated() {
      for (place, item) in candidates.enumerated() {
        unsafe userIndex.pointer[place] = UInt32(user)
        unsafe itemIndex.pointer[place] = item
      }
      unsafe starts.pointer[1] = UInt32(candidates.count)
      let batch = unsafe RowBatch(
        users: userIndex.pointer, items: itemIndex.pointer, count: candidates.count,
        runs: ShardRuns(
          starts: starts.pointer, shards: shards.pointer, blocks: shards.pointer,
          shardOfRow: shardOfRow.pointer, count: 1))
      unsafe try backbone.forward(
        batch,
        BatchParameters(
          users: WeightedProduct.Side(
            base: users.pointer, spacing: backbone.userLayout.stride, index: userIndex.pointer),
          items: WeightedProduct.Side(
            base: items.pointer, spacing: backbone.itemLayout.stride, index: itemIndex.pointer),
          dense: dense.pointer), into: scores.pointer)
      let found = unsafe Array(scores.elements.prefix(candidates.count))
      let rank = found.count { $0 > found[0] }
      if rank < 10 {
        hits += 1
        ndcg += 1 / log2(Double(rank) + 2)
      }
    }
    withExtendedLifetime((users, items, dense, starts, shards, shardOfRow)) {}
    return (hits / Double(candidates.count), ndcg / Double(candidates.count))
  }

  private func buffer(_ values: [Float]) -> AlignedBuffer<Float> {
    let buffer = AlignedBuffer<Float>(count: values.count)
    for (place, value) in values.enumerated() { unsafe buffer.pointer[place] = value }
    return buffer
  }

  /// The rows of two tables side by side.
  private func rows(_ side: String) throws -> [Float] {
    let (gmf, mlp) = (try values("gmf.\(side)"), try values("mlp.\(side)"))
    var rows: [Float] = []
    for row in 0..<gmf.count / 8 {
      rows += gmf[8 * row..<8 * row + 8]
      rows += mlp[32 * row..<32 * row + 32]
    }
    return rows
  }

  /// Published to seven digits.
  private func check(_ found: (hits: Double, ndcg: Double), _ hits: Double, _ ndcg: Double) {
    #expect(abs(found.hits - hits) < 1e-6)
    #expect(abs(found.ndcg - ndcg) < 1e-6)
  }

  @Test func mlpGivesItsPublishedFigures() throws {
    let figures = try figures(
      MultilayerPerceptron(factors: 8, layers: 3), users: values("mlp.user"),
      items: values("mlp.item"), dense: tower() + values("mlp.weight") + values("mlp.bias"))
    check(figures, 0.6710265, 0.3962544)
  }

  @Test func bothJoinedGiveTheirPublishedFigures() throws {
    let output = try (values("gmf.weight") + values("mlp.weight")).map { $0 / 2 }
    let bias = [try values("gmf.bias")[0] / 2 + values("mlp.bias")[0] / 2]
    let figures = try figures(
      NeuralMatrixFactorization(factors: 8, layers: 3), users: rows("user"), items: rows("item"),
      dense: tower() + output + bias)
    check(figures, 0.6710265, 0.3969390)
  }
}
