/// Where the values of an embedding row lie in memory.
///
/// A row of `F` factors is padded with zeros to whole blocks of 8 lanes; an optional bias takes
/// the first lane of one more block. Padding never receives a gradient, so it stays zero, and no
/// kernel needs a tail loop.
///
///     factors: 10, bias: true    | f0 … f7 | f8 f9 0 … 0 | bias 0 … 0 |    stride 24
package struct RowLayout: Equatable, Sendable {
  /// Lanes of one block.
  package static let lanes = 8

  /// `F`; 0 for rows that do not exist.
  package let factors: Int
  package let hasBias: Bool

  package init(factors: Int, hasBias: Bool) {
    precondition(factors >= 0, "a row has no fewer factors than none")
    self.factors = factors
    self.hasBias = hasBias
  }

  /// Blocks that hold factors.
  package var factorBlocks: Int { (factors + Self.lanes - 1) / Self.lanes }
  /// Index of the bias in the row, if it has one.
  package var biasColumn: Int { factorBlocks * Self.lanes }
  /// Floats from one row to the next.
  package var stride: Int { biasColumn + (hasBias ? Self.lanes : 0) }
}
