import Kernels
import Randomness
import Sharding

extension RowTable {
  /// Draws the factors of the rows that this rank writes from N(0, deviation²), by row and column.
  ///
  /// - Parameters:
  ///   - random: The stream.
  ///   - deviation: The standard deviation.
  ///   - firstRow: The number in the whole job of the table's row 0.
  func fillNormally(_ random: Philox, deviation: Double, firstRow: Int) {
    for number in written {
      let values = unsafe row(number)
      for pair in 0..<(layout.factors + 1) / 2 {
        let (first, second) = random.normalPair(row: firstRow + number, draw: pair)
        unsafe values[2 * pair] = Float(deviation * first)
        if 2 * pair + 1 < layout.factors {
          unsafe values[2 * pair + 1] = Float(deviation * second)
        }
      }
    }
  }
}
