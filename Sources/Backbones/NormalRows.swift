import Kernels
import Randomness
import Sharding

/// Initial values of embedding rows: each factor from N(0, deviation²), keyed by its row.
struct NormalRows {
  let deviation: Double
  let layout: RowLayout

  /// Fills the rows that this rank writes; biases and padding stay.
  ///
  /// - Parameters:
  ///   - table: The rows.
  ///   - firstRow: The number in the whole job of the table's row 0.
  ///   - random: The stream of the table.
  func fill(_ table: RowTable, firstRow: Int, random: Philox) {
    for row in table.written {
      let values = unsafe table.row(row)
      for pair in 0..<(layout.factors + 1) / 2 {
        let (first, second) = random.normalPair(row: firstRow + row, draw: pair)
        unsafe values[2 * pair] = Float(deviation * first)
        if 2 * pair + 1 < layout.factors { unsafe values[2 * pair + 1] = Float(deviation * second) }
      }
    }
  }
}
