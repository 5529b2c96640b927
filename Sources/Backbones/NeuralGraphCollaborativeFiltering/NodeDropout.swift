import Kernels
import Randomness
import Sharding

/// NGCF's node dropout: a step leaves out some entries of `Â`, and the others grow so that the mean
/// stays (Wang et al., SIGIR 2019, section 2.4.2; entries, as the authors' code).
///
/// An edge is two entries, to the user and to the item, which fall out independently; so does a
/// node's connection with itself. All layers of a step have the same entries. A number is keyed by
/// seed, step and node, that of an edge by its user and its place among the user's edges.
@safe
final class NodeDropout {
  private let rate: Float
  private let graph: InteractionGraph
  private let userCount: Int
  /// Of the edges' entries, without the scales of rows.
  let toUsers: EdgeWeights
  let toItems: EdgeWeights
  /// Entries of this rank's nodes with themselves.
  let users: SelfConnections
  let items: SelfConnections
  private var drawn: DropoutKey?

  /// The diagonal of `Â` on one side.
  struct SelfConnections {
    /// `(count)`: as it is without dropout.
    fileprivate let scales: AlignedBuffer<Float>
    /// `(count)`: of the step.
    let values: AlignedBuffer<Float>

    fileprivate init(_ scales: AlignedBuffer<Float>) {
      self.scales = scales
      values = AlignedBuffer(count: scales.count)
    }

    fileprivate func set(_ row: Int, _ weight: Float) {
      unsafe values.pointer[row] = scales.pointer[row] * weight
    }
  }

  /// - Parameters:
  ///   - rate: The share that is left out, in `(0, 1)`.
  ///   - graph: The edges of this rank's users.
  ///   - userCount: Users of the whole job.
  ///   - userScales: `(U')`: the scale of each row of `Â`.
  ///   - itemScales: `(owned)`: likewise.
  init(
    rate: Float, graph: InteractionGraph, userCount: Int, userScales: AlignedBuffer<Float>,
    itemScales: AlignedBuffer<Float>
  ) {
    self.rate = rate
    self.graph = graph
    self.userCount = userCount
    toUsers = EdgeWeights(of: graph)
    toItems = EdgeWeights(of: graph)
    users = SelfConnections(userScales)
    items = SelfConnections(itemScales)
  }

  /// Draws the entries of a step, unless they were drawn last.
  ///
  /// - Complexity: O(edges + nodes), about 10 ns for each; no allocation, no communication.
  func draw(_ key: DropoutKey) {
    guard key != drawn else { return }
    drawn = key
    let random = Philox(seed: key.seed, purpose: .nodeDropout)
    let threshold = UInt32(Double(rate) * 0x1p32)
    let kept = 1 / (1 - rate)
    func weight(_ word: UInt32) -> Float { word >= threshold ? kept : 0 }
    let starts = unsafe graph.edges.starts.pointer
    for user in graph.userDegrees.indices {
      let node = graph.firstUser + user
      users.set(user, weight(random.words(epoch: key.step, row: node)[0]))
      let first = unsafe starts[user]
      for edge in unsafe first..<starts[user + 1] {
        let words = random.words(epoch: key.step, row: node, draw: 1 + edge - first)
        unsafe toUsers.values.pointer[edge] = weight(words[0])
        unsafe toItems.values.pointer[edge] = weight(words[1])
      }
    }
    for (place, item) in graph.ownedItems.enumerated() {
      items.set(place, weight(random.words(epoch: key.step, row: userCount + item)[0]))
    }
    toUsers.update()
    toItems.update()
  }
}
