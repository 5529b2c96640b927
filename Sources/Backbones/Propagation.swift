package import Sharding

/// A backbone whose scores read rows that are computed from all rows of the tables over the graph
/// of training.
///
/// See docs/decisions/0014-propagation.md.
package protocol PropagatingBackbone: Backbone {
  /// Makes what computes the propagated rows on this rank. A collective.
  ///
  /// - Parameter graph: The edges of this rank's users.
  /// - Returns: The propagation; its rows are not computed yet.
  /// - Throws: What an exchange throws.
  func makePropagation(over graph: InteractionGraph) throws -> any Propagation
}

/// Propagated rows of one rank, and the way back for their gradients.
package protocol Propagation: AnyObject {
  /// The propagated rows of this rank's users.
  var users: RowTable { get }
  /// The propagated rows of all items.
  var items: RowTable { get }

  /// Computes the propagated rows. A collective.
  ///
  /// - Parameters:
  ///   - tables: The parameters.
  ///   - dropout: What masks are drawn by; `nil` when the model is only asked.
  /// - Throws: What an exchange throws.
  func forward(_ tables: PropagatedTables, dropout: DropoutKey?) throws

  /// Computes the gradients of all rows of this rank. A collective; called after ``forward`` of the
  /// same parameters.
  ///
  /// - Parameters:
  ///   - users: Gradients of propagated rows of this rank's users; those that are missing are zero.
  ///   - items: Likewise of item rows that this rank owns, complete.
  ///   - tables: The parameters.
  ///   - denseLeaves: `(S', denseCount)`: the dense gradient of each shard, added to.
  /// - Returns: The gradients of all user rows and of all owned item rows; valid until the next call
  ///   of this method, whatever is propagated forward meanwhile.
  /// - Throws: What an exchange throws.
  func backward(
    users: KeyedRows, items: KeyedRows, _ tables: PropagatedTables,
    denseLeaves: UnsafeMutablePointer<Float>
  ) throws -> (users: KeyedRows, items: KeyedRows)
}

/// The parameters of one rank that a propagation reads.
@safe
package struct PropagatedTables {
  /// Rows of this rank's users.
  package let users: RowTable
  /// At least the item rows that this rank owns.
  package let items: RowTable
  /// `(denseCount)`.
  package let dense: UnsafePointer<Float>

  package init(users: RowTable, items: RowTable, dense: UnsafePointer<Float>) {
    self.users = users
    self.items = items
    unsafe self.dense = unsafe dense
  }
}

/// What the masks of a training step are drawn by: the same on every rank, another in every step.
package struct DropoutKey: Equatable, Sendable {
  /// Of the run.
  package let seed: UInt64
  /// Steps of the run before this one.
  package let step: Int

  package init(seed: UInt64, step: Int) {
    self.seed = seed
    self.step = step
  }
}
