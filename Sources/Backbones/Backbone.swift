package import Kernels
package import Sharding

/// A model that scores (user, item) pairs from embedding rows and dense parameters.
///
/// The training step gathers rows, calls ``forward(_:_:into:)``, lets an objective turn scores
/// into derivatives, calls ``backward(_:_:scoreGradients:into:)``, and carries the gradients to the
/// owners of the rows. A backbone never sees a rank: it works on the shards it is given, one
/// microbatch per shard, so that its matrix shapes and its sums do not depend on the ranks.
///
/// How each of the seven backbones fits is written down in docs/decisions/0006-backbones.md.
package protocol Backbone: AnyObject {
  /// The layout of a row of the user table.
  var userLayout: RowLayout { get }
  /// The layout of a row of the item table.
  var itemLayout: RowLayout { get }
  /// The layout of the user rows that scores read: those of the table, unless the backbone
  /// propagates them.
  var scoredUserLayout: RowLayout { get }
  /// As ``scoredUserLayout``, of items.
  var scoredItemLayout: RowLayout { get }
  /// The dense parameters, which every rank holds, in the order of the files.
  var denseTensors: [DenseTensor] { get }
  /// Floats of all dense parameters with their padding, a multiple of 8.
  var denseCount: Int { get }

  /// Whether dense parameters are trained; if not, their gradients are 0 and they stay as they are.
  var trainsDense: Bool { get }

  /// Whether the backward pass needs what the last forward pass left behind (activations of dense
  /// layers), so that a forward pass of the same rows must come right before it.
  var keepsIntermediates: Bool { get }

  /// Makes room for training batches of up to `rows` rows, so that no later step has to.
  func reserve(rows: Int)

  /// Writes which item rows a batch reads, `(batch.referenceCount)`: those of its rows, and for a
  /// ``SequenceBackbone`` those of its places, in the order of ``SequenceBatch``.
  func writeItemReferences(of batch: RowBatch, into references: UnsafeMutablePointer<UInt32>)

  /// Fills the rows of the user table that this rank writes with their initial values.
  ///
  /// - Parameters:
  ///   - table: The rows, zero so far.
  ///   - firstRow: The number in the whole job of the table's row 0.
  ///   - seed: The run's seed; values are keyed by it and the row number.
  func initializeUsers(_ table: RowTable, firstRow: Int, seed: UInt64)
  /// As ``initializeUsers(_:firstRow:seed:)``, for the item table.
  func initializeItems(_ table: RowTable, firstRow: Int, seed: UInt64)
  /// Fills the dense parameters, `(denseCount)`, zero so far, with their initial values.
  func initializeDense(_ dense: UnsafeMutablePointer<Float>, seed: UInt64)

  /// Writes one score per row of the batch.
  ///
  /// - Parameters:
  ///   - batch: The rows.
  ///   - parameters: Where their parameters are.
  ///   - scores: `(B)`, overwritten.
  /// - Throws: What an exchange inside a layer throws.
  func forward(
    _ batch: RowBatch, _ parameters: BatchParameters, into scores: UnsafeMutablePointer<Float>
  ) throws

  /// Writes the gradients of the sum of `scoreGradients · score`, and of the decay in `gradients` if
  /// there is one.
  ///
  /// When ``keepsIntermediates``, called right after ``forward(_:_:into:)`` with the same batch and
  /// parameters.
  ///
  /// - Parameters:
  ///   - batch: The rows.
  ///   - parameters: Where their parameters are.
  ///   - scoreGradients: `(B)`: δ.
  ///   - gradients: Overwritten.
  /// - Throws: What an exchange inside a layer throws.
  func backward(
    _ batch: RowBatch, _ parameters: BatchParameters, scoreGradients: UnsafePointer<Float>,
    into gradients: BatchGradients
  ) throws
}

/// A backbone that scores a batch at the three candidates of an inverse gradient step in one pass.
///
/// One that does not gets three forward passes over shifted copies of the rows, with equal bits.
package protocol CandidateScoring: Backbone {
  /// Writes the scores at the three candidates.
  ///
  /// - Parameters:
  ///   - batch: The rows.
  ///   - parameters: Where their parameters are, not shifted.
  ///   - shifts: How far each row moves.
  ///   - userSegments: The batch grouped by user.
  ///   - scores: Overwritten.
  /// - Throws: What an exchange inside a layer throws.
  func forwardCandidates(
    _ batch: RowBatch, _ parameters: BatchParameters, _ shifts: BatchShifts,
    userSegments: SegmentSort, into scores: CandidateScores
  ) throws
}

extension Backbone {
  package var scoredUserLayout: RowLayout { userLayout }
  package var scoredItemLayout: RowLayout { itemLayout }
  package var trainsDense: Bool { true }
  package var keepsIntermediates: Bool { false }
  package func reserve(rows: Int) {}

  package func writeItemReferences(
    of batch: RowBatch, into references: UnsafeMutablePointer<UInt32>
  ) {
    unsafe references.update(from: batch.items, count: batch.count)
  }
}

/// One named part of the dense parameters.
package struct DenseTensor: Equatable, Sendable {
  /// The name in model files.
  package let name: String
  package let shape: [Int]
  /// Where it starts in the dense parameters.
  package let offset: Int

  package init(name: String, shape: [Int], offset: Int) {
    self.name = name
    self.shape = shape
    self.offset = offset
  }
}
