import Randomness

/// The order in which one shard's labeled training rows are visited in one epoch.
///
/// Computed, not stored, and cut into the steps of the epoch: in step `t` of `T` a shard of `n`
/// rows gives the positions `⌊t·n/T⌋ ..< ⌊(t+1)·n/T⌋`. So every row is seen once per epoch and all
/// shards spread theirs over all steps. It depends on the seed, the epoch and the shard only.
package struct EpochOrder: Sendable {
  /// `n`, the rows of the shard.
  package let count: Int
  private let permutation: Permutation

  /// The order of an epoch.
  ///
  /// - Parameters:
  ///   - count: Labeled training rows of the shard.
  ///   - shard: Its index.
  ///   - epoch: From 0.
  ///   - seed: Of the run.
  package init(count: Int, shard: Int, epoch: Int, seed: UInt64) {
    self.count = count
    permutation = Permutation(
      count: count, seed: seed, purpose: .order, epoch: epoch, stream: shard)
  }

  /// The positions of a step.
  ///
  /// - Parameters:
  ///   - step: In `0 ..< steps`.
  ///   - steps: Steps of the epoch, at least 1; more than rows is fine.
  /// - Returns: A part of `0 ..< count`, perhaps empty.
  package func positions(step: Int, of steps: Int) -> Range<Int> {
    Self.positions(of: count, step: step, of: steps)
  }

  /// The positions that a shard of `count` rows gives to a step; see ``positions(step:of:)``.
  package static func positions(of count: Int, step: Int, of steps: Int) -> Range<Int> {
    precondition(steps > 0 && (0..<steps).contains(step), "a step must be in 0 ..< steps")
    return bound(step, count, steps)..<bound(step + 1, count, steps)
  }

  /// The row at `position`, in `0 ..< count`; not checked.
  package subscript(position: Int) -> Int { permutation[position] }

  /// Writes the rows at `positions` to `rows`, one call for many.
  package func fill(_ rows: UnsafeMutablePointer<Int>, positions: Range<Int>) {
    unsafe permutation.fill(rows, positions: positions)
  }

  /// As ``fill(_:positions:)``, with the rounds that ``remember(in:)`` filled for this order.
  func fill(
    _ rows: UnsafeMutablePointer<Int>, positions: Range<Int>, rounds: PermutationRounds
  ) {
    unsafe permutation.fill(rows, positions: positions, rounds: rounds)
  }

  /// Fills `rounds`, which has room for orders of ``count`` rows.
  func remember(in rounds: PermutationRounds) { rounds.fill(for: permutation) }

  /// ⌊step · count / steps⌋ through a product of double width.
  private static func bound(_ step: Int, _ count: Int, _ steps: Int) -> Int {
    let product = step.multipliedFullWidth(by: count)
    return steps.dividingFullWidth(product).quotient
  }
}
