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
  package static func measure(
    _ rounds: Int, _ contenders: [() throws -> Double]
  ) throws -> [Summary] {
    var samples = [[Double]](repeating: [], count: contenders.count)
    for index in turns(rounds, contenders.count) { samples[index].append(try contenders[index]()) }
    return samples.map { Summary($0) }
  }

  /// As above, for what cannot fail.
  package static func measure(_ rounds: Int, _ contenders: [() -> Double]) -> [Summary] {
    var samples = [[Double]](repeating: [], count: contenders.count)
    for index in turns(rounds, contenders.count) { samples[index].append(contenders[index]()) }
    return samples.map { Summary($0) }
  }

  /// Whose turn it is, over all rounds.
  private static func turns(_ rounds: Int, _ contenders: Int) -> [Int] {
    precondition(rounds >= 1, "at least one round")
    // Whoever always runs second finds caches and clocks as the first left them.
    return (0..<rounds).flatMap { round in
      (0..<contenders).map { round.isMultiple(of: 2) ? $0 : contenders - 1 - $0 }
    }
  }
}
