/// Interleaved repetition: in every round each contender runs once.
///
/// A machine's speed drifts over minutes (neighbours, heat, clock). Contenders that take turns see
/// the same drift, so their ratio holds although the absolute figures may not.
package enum Rounds {
  /// Runs every contender once per round, every other round in the opposite order.
  ///
  /// - Parameters:
  ///   - rounds: At least 1.
  ///   - contenders: What is compared; each gives one sample per call.
  /// - Returns: A summary for each contender, in their order, samples in the order of rounds.
  /// - Throws: What a contender throws.
  package static func measure<Problem: Error>(
    _ rounds: Int, _ contenders: [() throws(Problem) -> Double]
  ) throws(Problem) -> [Summary] {
    precondition(rounds >= 1, "at least one round")
    var samples = [[Double]](repeating: [], count: contenders.count)
    for round in 0..<rounds {
      // Whoever always runs second finds caches and clocks as the first left them.
      let order =
        round.isMultiple(of: 2) ? Array(contenders.indices) : contenders.indices.reversed()
      for index in order { samples[index].append(try contenders[index]()) }
    }
    return samples.map { Summary($0) }
  }
}
