import Backbones
import Foundation
import Kernels
import Sharding

/// A small batch and all parameters of a backbone: shards 4 ... 7 of eight, in two blocks of this
/// rank, shard 5 without rows.
struct PassProblem {
  static let rowsPerShard = [5, 0, 7, 1]
  static let blocks: [UInt32] = [4, 4, 6, 6]
  static let rowCount = 13
  static let userCount = 8
  static let itemCount = 5

  let backbone: any Backbone
  var userIndex: [UInt32]
  var itemIndex: [UInt32]
  var scoreGradients: [Float]
  /// `(userCount, stride)`.
  var users: [Float]
  /// `(itemCount, stride)`.
  var items: [Float]
  var dense: [Float]

  /// Random parameters; weights small enough that activations stay near 1.
  init(_ backbone: any Backbone, seed: UInt64) {
    var draws = Draws(seed: seed)
    self.backbone = backbone
    func rows(_ count: Int) -> [Float] {
      (0..<count * backbone.userLayout.stride).map { _ in draws.float() }
    }
    users = rows(Self.userCount)
    items = rows(Self.itemCount)
    var dense = [Float](repeating: 0, count: backbone.denseCount)
    for tensor in backbone.denseTensors {
      for place in 0..<tensor.shape.reduce(1, *) {
        dense[tensor.offset + place] = draws.float() / (tensor.shape.count > 1 ? 4 : 1)
      }
    }
    self.dense = dense
    var (userIndex, itemIndex): ([UInt32], [UInt32]) = ([], [])
    for (shard, count) in Self.rowsPerShard.enumerated() {
      for _ in 0..<count {
        userIndex.append(UInt32(2 * shard + draws.integer(below: 2)))
        itemIndex.append(UInt32(draws.integer(below: Self.itemCount)))
      }
    }
    (self.userIndex, self.itemIndex) = (userIndex, itemIndex)
    scoreGradients = (0..<Self.rowCount).map { _ in draws.float() }
  }

  /// What a forward and a backward pass give; rows that are not read have no gradient.
  struct Passes {
    var scores: [Float]
    /// `(userCount, stride)`.
    var users: [Float]
    /// `(itemCount, stride)`, summed over blocks.
    var items: [Float]
    /// One leaf per shard.
    var leaves: [[Float]]

    /// The sum of all leaves.
    var dense: [Float] {
      leaves.dropFirst().reduce(leaves[0]) { zip($0, $1).map { $0 + $1 } }
    }
  }

  /// Both passes as a training step makes them.
  func run() throws -> Passes {
    var starts: [UInt32] = [0]
    for count in Self.rowsPerShard { starts.append(starts[starts.count - 1] + UInt32(count)) }
    let (startBuffer, shards) = (AlignedBuffer(starts), AlignedBuffer<UInt32>([4, 5, 6, 7]))
    let shardOfRow = AlignedBuffer(
      Self.rowsPerShard.enumerated().flatMap { [UInt16](repeating: UInt16($0), count: $1) })
    let blocks = AlignedBuffer(Self.blocks)
    let (userRows, itemRows) = (AlignedBuffer(users), AlignedBuffer(items))
    let (userColumn, itemColumn) = (AlignedBuffer(userIndex), AlignedBuffer(itemIndex))
    let (denseRow, deltas) = (AlignedBuffer(dense), AlignedBuffer(scoreGradients))
    let scores = AlignedBuffer([Float](repeating: .nan, count: Self.rowCount))
    let leaves = AlignedBuffer([Float](repeating: .nan, count: 4 * backbone.denseCount))
    let gradients = unsafe BatchGradients(
      capacity: Self.rowCount, backbone: backbone, shardCount: 8, ordered: true,
      denseLeaves: leaves.pointer)
    let batch = unsafe RowBatch(
      users: userColumn.pointer, items: itemColumn.pointer, count: Self.rowCount,
      runs: ShardRuns(
        starts: startBuffer.pointer, shards: shards.pointer, blocks: blocks.pointer,
        shardOfRow: shardOfRow.pointer, count: 4))
    let parameters = unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: userRows.pointer, spacing: backbone.userLayout.stride, index: userColumn.pointer),
      items: WeightedProduct.Side(
        base: itemRows.pointer, spacing: backbone.itemLayout.stride, index: itemColumn.pointer),
      dense: denseRow.pointer)
    unsafe gradients.userSegments.sort(
      userColumn.pointer, count: Self.rowCount, bound: Self.userCount)
    unsafe gradients.itemSegments.sort(
      itemColumn.pointer, count: Self.rowCount, bound: Self.itemCount)
    unsafe try backbone.forward(batch, parameters, into: scores.pointer)
    unsafe try backbone.backward(
      batch, parameters, scoreGradients: deltas.pointer, into: gradients)
    defer {
      withExtendedLifetime((userRows, itemRows, denseRow, deltas, shardOfRow, blocks, shards)) {}
      withExtendedLifetime((startBuffer, userColumn, itemColumn)) {}
    }
    let (segments, partials) = (gradients.userSegments, gradients.itemPartials)
    return Passes(
      scores: scores.values,
      users: table(
        Array(segments.segmentKeys.values.prefix(segments.segmentCount)),
        gradients.userRows.values, count: Self.userCount),
      items: table(
        Array(partials.keys.values.prefix(partials.count)), partials.rows.values,
        count: Self.itemCount),
      leaves: (0..<4).map {
        Array(leaves.values[$0 * backbone.denseCount..<($0 + 1) * backbone.denseCount])
      })
  }

  /// Gradient rows added where they belong in a table.
  private func table(_ keys: [UInt32], _ rows: [Float], count: Int) -> [Float] {
    let stride = backbone.userLayout.stride
    var table = [Float](repeating: 0, count: count * stride)
    for (place, key) in keys.enumerated() {
      for column in 0..<stride {
        table[Int(key) * stride + column] += rows[place * stride + column]
      }
    }
    return table
  }
}

/// One model of `Tests/Goldens/perceptrons.json`.
struct PerceptronGolden: Decodable {
  /// Models that were joined.
  struct Joined: Decodable {
    let gmfBias: Double
    let mlpBias: Double
    let gmf: [Double]
    let mlp: [Double]
    let scores: [Double]

    enum CodingKeys: String, CodingKey {
      case gmf, mlp, scores
      case gmfBias = "gmf_bias"
      case mlpBias = "mlp_bias"
    }
  }

  let factors: Int
  let layers: Int
  let users: [UInt32]
  let items: [UInt32]
  let tensors: [String: [Double]]
  let delta: [Double]
  let scores: [Double]
  let gradients: [String: [Double]]
  let joined: Joined?

  static func load(_ name: String) throws -> PerceptronGolden? {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Goldens/perceptrons.json")
    let all = try JSONDecoder().decode(
      [String: PerceptronGolden].self, from: Data(contentsOf: file))
    return all[name]
  }

  /// The model and its batch, with every tensor where the backbone says that it is.
  func problem(_ backbone: any Backbone) -> PassProblem {
    var problem = PassProblem(backbone, seed: 0)
    (problem.userIndex, problem.itemIndex) = (users, items)
    problem.scoreGradients = delta.map { Float($0) }
    problem.users = (tensors["user.factors"] ?? []).map { Float($0) }
    problem.items = (tensors["item.factors"] ?? []).map { Float($0) }
    for tensor in backbone.denseTensors {
      for (place, value) in (tensors[tensor.name] ?? []).enumerated() {
        problem.dense[tensor.offset + place] = Float(value)
      }
    }
    return problem
  }
}
