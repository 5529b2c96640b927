import Kernels
import Randomness
import Sharding

/// Initial values uniform in `±√(6 / (inputs + outputs))`, keyed by their place.
///
/// Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
/// AISTATS 2010.
struct XavierValues {
  private let bound: Double

  init(inputs: Int, outputs: Int) { bound = (6 / Double(inputs + outputs)).squareRoot() }

  /// Fills `count` values, the first of which has the place `first` in its stream.
  func fill(
    _ values: UnsafeMutablePointer<Float>, count: Int, first: Int, random: Philox
  ) {
    for index in 0..<count {
      unsafe values[index] = Float(bound * (2 * random.uniform(row: first + index) - 1))
    }
  }

  /// Fills the factors of the rows that this rank writes.
  ///
  /// - Parameters:
  ///   - table: The rows.
  ///   - layout: Of the rows.
  ///   - firstRow: The number in the whole job of the table's row 0.
  ///   - random: The stream of the table.
  func fill(_ table: RowTable, layout: RowLayout, firstRow: Int, random: Philox) {
    for row in table.written {
      unsafe fill(
        table.row(row), count: layout.factors, first: (firstRow + row) * layout.factors,
        random: random)
    }
  }
}
