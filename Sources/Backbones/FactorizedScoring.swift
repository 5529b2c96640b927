package import Sharding

/// A backbone whose score is the product of a vector of the user and a vector of the item.
///
///     score[u, i] = Σ_k user[u, k] · item[i, k]
///
/// So all items can be ranked for many users by matrix products. Vectors of width `K` hold all of
/// the score: weights and biases become part of one side or get columns of their own. A vector
/// depends on its row alone, not on the rows it is asked for with.
package protocol FactorizedScoring: Backbone {
  /// `K`, at least 1.
  var vectorWidth: Int { get }

  /// Writes the vectors of consecutive items.
  ///
  /// Called once on every rank before the vectors of users are asked for, so a model that combines
  /// rows of several ranks may exchange them here.
  ///
  /// - Parameters:
  ///   - vectors: `(rows.count, K)`, overwritten.
  ///   - rows: Rows that `table` holds.
  ///   - table: The item table.
  ///   - dense: `(denseCount)`.
  /// - Throws: What an exchange throws.
  func writeItemVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: Range<Int>, of table: RowTable,
    dense: UnsafePointer<Float>
  ) throws

  /// Writes the vectors of some users of this rank.
  ///
  /// - Parameters:
  ///   - vectors: `(count, K)`, overwritten.
  ///   - rows: `(count)`: rows that `table` holds.
  ///   - count: Users.
  ///   - table: The user table.
  ///   - dense: `(denseCount)`.
  func writeUserVectors(
    into vectors: UnsafeMutablePointer<Float>, rows: UnsafePointer<UInt32>, count: Int,
    of table: RowTable, dense: UnsafePointer<Float>)
}
