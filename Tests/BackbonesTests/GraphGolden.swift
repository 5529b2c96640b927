import Backbones
import Fabric
import Foundation
import Kernels
import Sharding

/// `Tests/Goldens/graphs.json`.
struct GraphGolden: Decodable {
  struct Model: Decodable {
    let factors: Int
    let layers: Int
    let tensors: [String: [Double]]
    let users: [Double]
    let items: [Double]
    let pairs: [[Int]]
    let delta: [Double]
    let scores: [Double]
    let gradients: [String: [Double]]
  }

  let edges: [[Int]]
  /// Users, then items: pairs of an item and a weight.
  let neighbours: [[[Double]]]
  let models: [String: Model]

  /// The same graph `copies` times, none connected with another: nodes of a kind are numbered copy by
  /// copy, after those before them. Every copy must give what one gives.
  func problem(
    _ model: Model, copies: Int = 1,
    _ makeBackbone: @escaping @Sendable () -> any PropagatingBackbone
  ) -> GraphProblem {
    let all = 0..<copies
    func spread(_ node: Int) -> [Int] { all.map { node * copies + $0 } }
    func repeated(_ rows: [Double]) -> [Double] {
      stride(from: 0, to: rows.count, by: model.factors).flatMap { start in
        all.flatMap { _ in rows[start..<start + model.factors] }
      }
    }
    let tensors = model.tensors.reduce(into: model.tensors) { tensors, tensor in
      if tensor.key.hasSuffix(".factors") { tensors[tensor.key] = repeated(tensor.value) }
    }
    return GraphProblem(
      copies: copies,
      edges: edges.flatMap { edge in zip(spread(edge[0]), spread(edge[1])).map { [$0, $1] } },
      neighbours: neighbours.flatMap { list in
        all.map { copy in list.map { [$0[0] * Double(copies) + Double(copy), $0[1]] } }
      },
      model: Model(
        factors: model.factors, layers: model.layers, tensors: tensors, users: model.users,
        items: model.items,
        pairs: model.pairs.flatMap { pair in zip(spread(pair[0]), spread(pair[1])).map { [$0, $1] }
        },
        delta: model.delta.flatMap { delta in all.map { _ in delta } }, scores: model.scores,
        gradients: model.gradients), makeBackbone: makeBackbone)
  }

  static func load() throws -> GraphGolden {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Goldens/graphs.json")
    return try JSONDecoder().decode(GraphGolden.self, from: Data(contentsOf: file))
  }
}

/// The graph of the golden numbers over ranks: seven users and six items in eight shards, some of
/// which own no user or no item.
struct GraphProblem: Sendable {
  static let shardCount = 8

  /// Copies of each user and item, side by side.
  var copies = 1
  let edges: [[Int]]
  let neighbours: [[[Double]]]
  let model: GraphGolden.Model
  let makeBackbone: @Sendable () -> any PropagatingBackbone
  var isOrdered = true
  var dropout: DropoutKey?

  var userCount: Int { 7 * copies }
  private var itemCount: Int { 6 * copies }
  private var userStarts: [Int] { [0, 2, 2, 3, 4, 4, 6, 7, 7].map { $0 * copies } }
  private var itemStarts: [Int] { [0, 1, 1, 3, 3, 4, 4, 5, 6].map { $0 * copies } }

  /// What all ranks compute, put together.
  struct Passes: Equatable, Sendable {
    /// `(U, scored stride)`, `(I, scored stride)`.
    var users: [Float] = []
    var items: [Float] = []
    /// Gradients of the tables, `(U, stride)`, `(I, stride)`.
    var userGradients: [Float] = []
    var itemGradients: [Float] = []
    /// One for each shard.
    var leaves: [[Float]] = []
    /// Gradients of the tables as they are after another forward pass.
    var laterGradients: [Float] = []
  }

  func run(ranks: Int) throws -> Passes {
    let parts = try LocalGroup.run(ranks: ranks) { try part(on: $0) }
    var joined = parts.dropFirst().reduce(into: parts[0]) { all, part in
      precondition(all.items == part.items, "ranks disagree about the rows of items")
      all.users += part.users
      all.userGradients += part.userGradients
      all.itemGradients += part.itemGradients
      all.leaves += part.leaves
      all.laterGradients += part.laterGradients
    }
    // Ranks and sides follow each other there.
    joined.laterGradients.sort()
    return joined
  }

  func graph(_ tree: ShardTree, _ group: any ProcessGroup) throws -> InteractionGraph {
    let run = tree.shards(of: group.rank)
    var part = InteractionGraph.Edges()
    for user in userStarts[run.lowerBound]..<userStarts[run.upperBound] {
      part.items += edges.filter { $0[0] == user }.map { UInt32($0[1]) }
      part.starts.append(part.items.count)
    }
    return try InteractionGraph(
      part, userStarts: userStarts, itemStarts: itemStarts, tree: tree,
      isOrdered: isOrdered, group: group)
  }

  private func rows(_ nodes: Range<Int>) -> SparseRows {
    let lists = nodes.map { neighbours[$0] }
    let starts = AlignedBuffer(lists.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) })
    let columns = AlignedBuffer(lists.joined().map { UInt32($0[0]) })
    let values = AlignedBuffer(lists.joined().map { Float($0[1]) })
    defer { withExtendedLifetime((starts, columns, values)) {} }
    return unsafe SparseRows(
      rowCount: nodes.count, columnCount: itemCount, starts: starts.pointer,
      columns: columns.pointer,
      values: values.pointer)
  }

  private func table(_ name: String, _ layout: RowLayout, _ rows: Range<Int>) -> RowTable {
    let table = RowTable(layout: layout, held: rows, owned: rows, optimizer: .gradientDescent)
    let values = model.tensors[name] ?? []
    for row in rows {
      for column in 0..<layout.factors {
        unsafe table.row(row)[column] = Float(values[row * layout.factors + column])
      }
    }
    return table
  }

  private func part(on group: any ProcessGroup) throws -> Passes {
    let tree = ShardTree(shardCount: Self.shardCount, rankCount: group.size)
    let graph = try graph(tree, group)
    let backbone = makeBackbone()
    let run = tree.shards(of: group.rank)
    let ownUsers = userStarts[run.lowerBound]..<userStarts[run.upperBound]
    let ownItems = itemStarts[run.lowerBound]..<itemStarts[run.upperBound]
    let propagation =
      if let pinSage = backbone as? PinSage {
        try pinSage.makePropagation(
          over: graph,
          neighbours: WalkNeighbours(
            users: rows(ownUsers),
            items: rows(userCount + ownItems.lowerBound..<userCount + ownItems.upperBound)))
      } else {
        try backbone.makePropagation(over: graph)
      }
    // User tables count from the rank's first user.
    let allUsers = table("user.factors", backbone.userLayout, 0..<userCount)
    let stride = backbone.userLayout.stride
    let users = RowTable(
      layout: backbone.userLayout, held: 0..<ownUsers.count, owned: 0..<ownUsers.count,
      optimizer: .gradientDescent)
    unsafe users.weights.pointer.update(
      from: allUsers.row(ownUsers.lowerBound), count: ownUsers.count * stride)
    let items = table("item.factors", backbone.itemLayout, ownItems)
    let dense = AlignedBuffer<Float>(count: backbone.denseCount)
    for tensor in backbone.denseTensors {
      for (place, value) in (model.tensors[tensor.name] ?? []).enumerated() {
        unsafe dense.pointer[tensor.offset + place] = Float(value)
      }
    }
    let tables = unsafe PropagatedTables(users: users, items: items, dense: dense.pointer)
    try propagation.forward(tables, dropout: dropout)
    var passes = Passes(users: propagation.users.values, items: propagation.items.values)
    let width = backbone.scoredUserLayout.stride
    let scored = unsafe (
      Array(propagation.users.weights.elements), Array(propagation.items.weights.elements)
    )
    // The gradient of an item's propagated row needs all users' rows.
    let everyUser = try gather(scored.0, width, tree, group)
    let userGradient = scoredGradient(ownUsers, width) { pair in
      (pair[0], scored.1[pair[1] * width..<(pair[1] + 1) * width])
    }
    let itemGradient = scoredGradient(ownItems, width) { pair in
      (pair[1], everyUser[pair[0] * width..<(pair[0] + 1) * width])
    }
    let userKeys = AlignedBuffer((0..<UInt32(ownUsers.count)).map { $0 })
    let itemKeys = AlignedBuffer(ownItems.map { UInt32($0) })
    let leaves = AlignedBuffer<Float>(count: run.count * backbone.denseCount)
    let gradients = unsafe try propagation.backward(
      users: KeyedRows(
        keys: userKeys.pointer, rows: userGradient.pointer, count: ownUsers.count),
      items: KeyedRows(
        keys: itemKeys.pointer, rows: itemGradient.pointer, count: ownItems.count), tables,
      denseLeaves: leaves.pointer)
    func copy(_ rows: KeyedRows) -> [Float] {
      unsafe Array(UnsafeBufferPointer(start: rows.rows, count: rows.count * stride))
    }
    (passes.userGradients, passes.itemGradients) = (copy(gradients.users), copy(gradients.items))
    passes.leaves = run.indices.map {
      let start = ($0 - run.lowerBound) * backbone.denseCount
      return Array(leaves.values[start..<start + backbone.denseCount])
    }
    try propagation.forward(tables, dropout: nil)
    passes.laterGradients = copy(gradients.users) + copy(gradients.items)
    withExtendedLifetime((userKeys, itemKeys, userGradient, itemGradient, dense, graph)) {}
    return passes
  }

  /// `Σ δ · other row` for each of `rows`.
  private func scoredGradient(
    _ rows: Range<Int>, _ width: Int, _ term: ([Int]) -> (row: Int, other: ArraySlice<Float>)
  ) -> AlignedBuffer<Float> {
    let gradient = AlignedBuffer<Float>(count: rows.count * width)
    for (pair, delta) in zip(model.pairs, model.delta) {
      let (row, other) = term(pair)
      guard rows.contains(row) else { continue }
      for (column, value) in other.enumerated() {
        unsafe gradient.pointer[(row - rows.lowerBound) * width + column] += Float(delta) * value
      }
    }
    return gradient
  }

  private func gather(
    _ rows: [Float], _ width: Int, _ tree: ShardTree, _ group: any ProcessGroup
  ) throws -> [Float] {
    var all = [Float](repeating: 0, count: userCount * width)
    let parts = Partition(
      counts: (0..<group.size).map { rank in
        let run = tree.shards(of: rank)
        return (userStarts[run.upperBound] - userStarts[run.lowerBound]) * width * 4
      })
    unsafe try rows.withUnsafeBytes { send in
      unsafe try all.withUnsafeMutableBytes { unsafe try group.gather(send, into: $0, parts) }
    }
    return all
  }
}
