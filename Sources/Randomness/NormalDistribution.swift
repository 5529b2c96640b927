import Foundation

extension Philox {
  /// Two independent draws of the standard normal distribution (Box and Muller, 1958).
  ///
  /// - Parameters:
  ///   - epoch: 0 for what happens once.
  ///   - row: A row of a table.
  ///   - draw: A pair of columns of that row.
  /// - Returns: The pair, each finite.
  package func normalPair(epoch: Int = 0, row: Int, draw: Int = 0) -> (Double, Double) {
    let words = words(epoch: epoch, row: row, draw: draw)
    // In (0, 1], so that the logarithm is finite.
    let first = (Double(UInt64(words[0]) << 21 | UInt64(words[1]) >> 11) + 1) * 0x1p-53
    let second = Double(UInt64(words[2]) << 21 | UInt64(words[3]) >> 11) * 0x1p-53
    let radius = (-2 * log(first)).squareRoot()
    return (radius * cos(2 * .pi * second), radius * sin(2 * .pi * second))
  }
}
