package import Kernels
import Randomness
package import Sharding

/// The neighbours of users and items: the items that short random walks from a node visit most.
///
/// Ying et al., KDD 2018, section 3.2. A step goes from an item to one of its users and on to one of
/// that user's items; the first step of a user goes to one of the user's items. Choices are uniform,
/// and keyed by the seed, the node, the walk and the step: the same for any number of ranks. An item
/// is not its own neighbour; of equal visits the lower item comes first.
package struct RandomWalks {
  /// How walks are made.
  package struct Plan: Equatable, Sendable {
    package let seed: UInt64
    /// From each node.
    package let walks: Int
    /// Items that a walk visits.
    package let length: Int
    /// The most neighbours of a node, `T`.
    package let neighbours: Int

    package init(seed: UInt64, walks: Int, length: Int, neighbours: Int) {
      precondition(walks >= 1 && length >= 1 && neighbours >= 1, "walks lead somewhere")
      self.seed = seed
      self.walks = walks
      self.length = length
      self.neighbours = neighbours
    }
  }

  private let plan: Plan
  private let random: Philox

  package init(_ plan: Plan) {
    self.plan = plan
    random = Philox(seed: plan.seed, purpose: .walks)
  }

  /// Finds the neighbours of this rank's users and of the item rows it owns. A collective.
  ///
  /// - Parameter graph: The edges of this rank's users.
  /// - Returns: The neighbours.
  /// - Throws: What the group throws.
  /// - Complexity: `walks · length` visits for each node of this rank, about 20 ns each; three
  ///   collectives, after which a rank holds all edges twice, 8 bytes each, until it is done.
  package func neighbours(over graph: InteractionGraph) throws -> WalkNeighbours {
    let whole = try WholeGraph(graph)
    let items = graph.ownedItems
    let (users, itemCount) = (
      graph.firstUser..<graph.firstUser + graph.userDegrees.count, whole.itemCount
    )
    return WalkNeighbours(
      users: SparseRows(users.map { neighbours(ofUser: $0, in: whole) }, columnCount: itemCount),
      items: SparseRows(items.map { neighbours(ofItem: $0, in: whole) }, columnCount: itemCount))
  }

  /// A neighbour and its visits.
  struct Neighbour: Equatable {
    let item: UInt32
    let visits: Int
  }

  private func neighbours(ofUser user: Int, in graph: WholeGraph) -> [Neighbour] {
    guard graph.degree(ofUser: user) > 0 else { return [] }
    var visits: [UInt32] = []
    for walk in 0..<plan.walks {
      var item = graph.item(of: user, words(node: user, walk: walk, step: 0)[1])
      visits.append(item)
      for step in 1..<max(1, plan.length) {
        item = graph.step(from: item, words(node: user, walk: walk, step: step))
        visits.append(item)
      }
    }
    return mostVisited(visits)
  }

  private func neighbours(ofItem start: Int, in graph: WholeGraph) -> [Neighbour] {
    guard graph.degree(ofItem: start) > 0 else { return [] }
    var visits: [UInt32] = []
    for walk in 0..<plan.walks {
      var item = UInt32(start)
      for step in 0..<plan.length {
        item = graph.step(
          from: item, words(node: graph.userCount + start, walk: walk, step: step))
        if item != UInt32(start) { visits.append(item) }
      }
    }
    return mostVisited(visits)
  }

  private func words(node: Int, walk: Int, step: Int) -> SIMD4<UInt32> {
    random.words(row: node, draw: walk * plan.length + step)
  }

  private func mostVisited(_ visits: [UInt32]) -> [Neighbour] {
    var runs: [Neighbour] = []
    let visits = visits.sorted()
    var start = 0
    for end in visits.indices where end + 1 == visits.count || visits[end + 1] != visits[end] {
      runs.append(Neighbour(item: visits[end], visits: end + 1 - start))
      start = end + 1
    }
    runs.sort { ($1.visits, $0.item) < ($0.visits, $1.item) }
    return Array(runs.prefix(plan.neighbours))
  }
}

/// The neighbours of a rank's nodes with their shares of the visits.
package final class WalkNeighbours {
  /// `(U', I)`, by user of this rank.
  package let users: SparseRows
  /// `(owned, I)`, by item row that this rank owns.
  package let items: SparseRows

  package init(users: SparseRows, items: SparseRows) {
    self.users = users
    self.items = items
  }
}

extension SparseRows {
  /// Rows of neighbours; each row's values add up to one.
  fileprivate convenience init(_ rows: [[RandomWalks.Neighbour]], columnCount: Int) {
    let starts = AlignedBuffer<Int>(count: rows.count + 1)
    let count = rows.reduce(0) { $0 + $1.count }
    let (columns, values) = (
      AlignedBuffer<UInt32>(count: count), AlignedBuffer<Float>(count: count)
    )
    var entry = 0
    for (row, neighbours) in rows.enumerated() {
      let total = Float(neighbours.reduce(0) { $0 + $1.visits })
      for neighbour in neighbours {
        unsafe columns.pointer[entry] = neighbour.item
        unsafe values.pointer[entry] = Float(neighbour.visits) / total
        entry += 1
      }
      unsafe starts.pointer[row + 1] = entry
    }
    unsafe self.init(
      rowCount: rows.count, columnCount: columnCount, starts: starts.pointer,
      columns: columns.pointer, values: values.pointer)
    withExtendedLifetime((starts, columns, values)) {}
  }
}
