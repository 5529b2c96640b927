import Randomness

/// The way through one shard's labeled training rows, epoch after epoch.
///
/// The rows of ``EpochOrder``, with what the steps of an epoch share computed once.
package final class EpochWalk {
  private let count: Int
  private let shard: Int
  private let seed: UInt64
  private let rounds: PermutationRounds
  private var epoch = 0
  private var order: EpochOrder

  /// Begins with epoch 0.
  ///
  /// - Parameters:
  ///   - count: Labeled training rows of the shard.
  ///   - shard: Its index.
  ///   - seed: Of the run.
  package init(count: Int, shard: Int, seed: UInt64) {
    self.count = count
    self.shard = shard
    self.seed = seed
    rounds = PermutationRounds(count: count)
    order = EpochOrder(count: count, shard: shard, epoch: 0, seed: seed)
    order.remember(in: rounds)
  }

  /// Goes to an epoch; nothing to do when it is there already. Allocates nothing.
  package func go(to epoch: Int) {
    guard epoch != self.epoch else { return }
    self.epoch = epoch
    order = EpochOrder(count: count, shard: shard, epoch: epoch, seed: seed)
    order.remember(in: rounds)
  }

  /// Writes the rows at `positions` of the epoch's order to `rows`.
  package func fill(_ rows: UnsafeMutablePointer<Int>, positions: Range<Int>) {
    unsafe order.fill(rows, positions: positions, rounds: rounds)
  }
}
