import Backbones
import Foundation
import Kernels
import Sharding

/// `Tests/Goldens/sasrec.json`.
struct AttentionGolden: Decodable {
  let factors: Int
  let length: Int
  let blocks: Int
  let heads: Int
  let items: Int
  let sequences: [[UInt32]]
  let rows: [[Int]]
  let tensors: [String: [Double]]
  let delta: [Double]
  let scores: [Double]
  let gradients: [String: [Double]]

  static func load() throws -> AttentionGolden {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Goldens/sasrec.json")
    return try JSONDecoder().decode(AttentionGolden.self, from: Data(contentsOf: file))
  }

  func shape(length: Int? = nil, dropout: Float = 0) -> SelfAttentiveRecommendation.Shape {
    .init(
      factors: factors, length: length ?? self.length, blocks: blocks, heads: heads,
      dropout: dropout)
  }

  /// The batch of the script, its sequences in shards of two, none, two and one.
  func problem(length: Int? = nil, dropout: Float = 0) -> SequenceProblem {
    let backbone = SelfAttentiveRecommendation(
      shape(length: length, dropout: dropout), itemCount: items)
    var problem = SequenceProblem(
      backbone: backbone, itemCount: items, sequences: sequences,
      rows: rows.map { .init(sequence: $0[0], place: $0[1], item: UInt32($0[2])) },
      scoreGradients: delta.map { Float($0) })
    problem.set("item.factors", (tensors["item.factors"] ?? []).map { Float($0) })
    for tensor in backbone.denseTensors {
      let values = (tensors[tensor.name] ?? []).map { Float($0) }
      // Positions count from the end.
      problem.set(tensor.name, values, skipping: tensor.shape.reduce(1, *) - values.count)
    }
    return problem
  }
}

/// A batch of sequences and all parameters: local shards 4 ... 7 of eight, in two blocks.
struct SequenceProblem {
  struct Row {
    var sequence: Int
    /// The last place that is read.
    var place: Int
    var item: UInt32
  }

  static let shardSequences = [2, 0, 2, 1]

  let backbone: SelfAttentiveRecommendation
  let itemCount: Int
  var sequences: [[UInt32]]
  var rows: [Row]
  var scoreGradients: [Float]
  /// `(itemCount, stride)`.
  var items: [Float]
  var dense: [Float]

  init(
    backbone: SelfAttentiveRecommendation, itemCount: Int, sequences: [[UInt32]], rows: [Row],
    scoreGradients: [Float]
  ) {
    self.backbone = backbone
    self.itemCount = itemCount
    self.sequences = sequences
    self.rows = rows
    self.scoreGradients = scoreGradients
    items = [Float](repeating: 0, count: itemCount * backbone.itemLayout.stride)
    dense = [Float](repeating: 0, count: backbone.denseCount)
  }

  /// Where each value of a tensor is, row by row.
  func places(_ name: String) -> [Int] {
    let (factors, stride) = (backbone.itemLayout.factors, backbone.itemLayout.stride)
    if name == "item.factors" {
      return (0..<itemCount * factors).map { $0 / factors * stride + $0 % factors }
    }
    guard let tensor = backbone.denseTensors.first(where: { $0.name == name }) else { return [] }
    return (0..<tensor.shape.reduce(1, *)).map { tensor.offset + $0 }
  }

  mutating func set(_ name: String, _ values: [Float], skipping skipped: Int = 0) {
    for (place, value) in zip(places(name).dropFirst(skipped), values) {
      if name == "item.factors" { items[place] = value } else { dense[place] = value }
    }
  }

  struct Passes {
    var scores: [Float]
    /// `(itemCount, stride)`, summed over blocks.
    var items: [Float]
    /// One leaf per shard.
    var leaves: [[Float]]

    /// The gradients of `name`.
    func gradients(_ name: String, _ problem: SequenceProblem) -> [Float] {
      let all =
        name == "item.factors"
        ? items : leaves.dropFirst().reduce(leaves[0]) { zip($0, $1).map { $0 + $1 } }
      return problem.places(name).map { all[$0] }
    }
  }

  /// `Σ δ · score`.
  func objective(_ passes: Passes) -> Double {
    zip(scoreGradients, passes.scores).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  /// Both passes as a training step makes them.
  func run(dropout: DropoutKey? = nil) throws -> Passes {
    let buffer = SequenceBuffer(
      capacity: SequenceCapacity(
        sequences: sequences.count, places: sequences.joined().count,
        length: backbone.sequenceLength), rows: rows.count, shardCount: 4)
    let (rowStarts, shardOfRow) = (
      AlignedBuffer<UInt32>(count: 5), AlignedBuffer<UInt16>(count: rows.count)
    )
    var (sequence, row) = (0, 0)
    buffer.begin()
    for (shard, count) in Self.shardSequences.enumerated() {
      let end = sequence + count
      while sequence < end {
        for (place, item) in sequences[sequence].enumerated() {
          unsafe buffer.next[place] = item
        }
        let first = buffer.append(user: UInt32(10 + sequence), count: sequences[sequence].count)
        while row < rows.count, rows[row].sequence == sequence {
          unsafe buffer.rowPlaces.pointer[row] = UInt32(first + rows[row].place + 1)
          unsafe shardOfRow.pointer[row] = UInt16(shard)
          row += 1
        }
        sequence += 1
      }
      unsafe rowStarts.pointer[shard + 1] = UInt32(row)
      buffer.close(shard: shard, rows: row)
    }
    let (shards, blocks) = (
      AlignedBuffer<UInt32>([4, 5, 6, 7]), AlignedBuffer<UInt32>([4, 4, 6, 6])
    )
    let targets = AlignedBuffer(rows.map(\.item))
    let runs = unsafe ShardRuns(
      starts: rowStarts.pointer, shards: shards.pointer, blocks: blocks.pointer,
      shardOfRow: shardOfRow.pointer, count: 4)
    let batch = unsafe RowBatch(
      users: targets.pointer, items: targets.pointer, count: rows.count, runs: runs,
      dropout: dropout, sequences: buffer.batch(runs))
    defer {
      withExtendedLifetime((rowStarts, shardOfRow, shards, blocks, targets, buffer)) {}
    }
    return try run(batch)
  }

  private func run(_ batch: RowBatch) throws -> Passes {
    let references = AlignedBuffer<UInt32>(count: batch.referenceCount)
    unsafe backbone.writeItemReferences(of: batch, into: references.pointer)
    let (itemRows, denseRow) = (AlignedBuffer(items), AlignedBuffer(dense))
    let deltas = AlignedBuffer(scoreGradients)
    let scores = AlignedBuffer([Float](repeating: .nan, count: rows.count))
    let leaves = AlignedBuffer([Float](repeating: .nan, count: 4 * backbone.denseCount))
    let gradients = unsafe BatchGradients(
      capacity: rows.count, references: batch.referenceCount, backbone: backbone, shardCount: 8,
      ordered: true, denseLeaves: leaves.pointer)
    unsafe gradients.itemSegments.sort(
      references.pointer, count: batch.referenceCount, bound: itemCount)
    let parameters = unsafe BatchParameters(
      users: WeightedProduct.Side(
        base: itemRows.pointer, spacing: backbone.itemLayout.stride, index: references.pointer),
      items: WeightedProduct.Side(
        base: itemRows.pointer, spacing: backbone.itemLayout.stride, index: references.pointer),
      dense: denseRow.pointer)
    unsafe backbone.forward(batch, parameters, into: scores.pointer)
    unsafe backbone.backward(
      batch, parameters, scoreGradients: deltas.pointer, into: gradients)
    defer { withExtendedLifetime((references, itemRows, denseRow, deltas)) {} }
    let (partials, stride) = (gradients.itemPartials, backbone.itemLayout.stride)
    var table = [Float](repeating: 0, count: itemCount * stride)
    for (place, key) in partials.keys.values.prefix(partials.count).enumerated() {
      for column in 0..<stride {
        table[Int(key) * stride + column] += partials.rows.values[place * stride + column]
      }
    }
    return Passes(
      scores: scores.values, items: table,
      leaves: (0..<4).map {
        Array(leaves.values[$0 * backbone.denseCount..<($0 + 1) * backbone.denseCount])
      })
  }
}
