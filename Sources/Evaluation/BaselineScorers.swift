package import Fabric
import Randomness

/// Scorers without a model, fitted by counting: what any training has to beat.
///
/// With μ the mean of all training labels, n a count of rows, n⁺ of positive ones, κ the shrinkage:
///
///     item bias  b_i = (n⁺_i − μ n_i) / (n_i + κ)
///     user bias  b_u = Σ over the user's rows of (label − μ − b_i) / (n_u + κ)
///
/// The item biases come first and the user biases are fitted to what they leave, as in Koren,
/// *Factor in the neighbors*, TKDD 2010. Users and items without training rows have
/// bias 0. Items are counted in whole numbers over all ranks and a user's rows are all on one, so
/// the scores do not depend on the number of ranks.
package struct BaselineScorers: Sendable {
  /// A way to score a pair.
  package enum Scorer: String, Sendable, CaseIterable {
    /// μ + b_i, the mean label of the item, shrunk towards that of all rows.
    case itemMean = "item-mean"
    /// μ + b_u + b_i.
    case biases
    /// n_i.
    case popularity
    /// Uniform in [0, 1), computed from seed, user and item.
    case random
  }

  /// The training rows of one shard, borrowed: whoever makes a value keeps the buffers alive while
  /// it is used. Indices are checked where they are used, which makes the type safe.
  @safe
  package struct Rows {
    package let users: UnsafeBufferPointer<UInt32>
    package let items: UnsafeBufferPointer<UInt32>
    /// 0 or 1.
    package let labels: UnsafeBufferPointer<UInt8>

    package init(
      users: UnsafeBufferPointer<UInt32>, items: UnsafeBufferPointer<UInt32>,
      labels: UnsafeBufferPointer<UInt8>
    ) {
      precondition(users.count == items.count, "one item for each row")
      precondition(users.count == labels.count, "one label for each row")
      unsafe self.users = unsafe users
      unsafe self.items = unsafe items
      unsafe self.labels = unsafe labels
    }
  }

  /// μ, or 0 without training rows.
  package let mean: Double
  private let itemCounts: [Int64]
  private let itemBiases: [Double]
  private let userBiases: [Double]
  private let draws: Philox

  /// Counts the training rows of all ranks.
  ///
  /// - Parameters:
  ///   - shards: The training rows of this rank, a value for each shard, in order.
  ///   - userCount: Users are in `0 ..< userCount`.
  ///   - itemCount: Items are in `0 ..< itemCount`.
  ///   - shrinkage: κ, more than 0.
  ///   - seed: Of the random scorer.
  ///   - group: All ranks.
  /// - Throws: What the group throws.
  /// - Complexity: O(rows / P + users + items) time and memory; one collective of 16 bytes for
  ///   each item.
  package init(
    training shards: [Rows], userCount: Int, itemCount: Int, shrinkage: Double = 5,
    seed: UInt64 = 0, group: any ProcessGroup
  ) throws {
    precondition(shrinkage > 0, "the shrinkage must be more than 0")
    // Rows of item i at i, positive ones at itemCount + i.
    var counts = [Int64](repeating: 0, count: 2 * itemCount)
    for shard in shards {
      for row in unsafe 0..<shard.items.count {
        let item = unsafe Int(shard.items[row])
        precondition(item < itemCount, "items must be in 0 ..< itemCount")
        counts[item] += 1
        unsafe counts[itemCount + item] += Int64(shard.labels[row])
      }
    }
    unsafe try counts.withUnsafeMutableBufferPointer { unsafe try group.sum($0) }
    itemCounts = Array(counts.prefix(itemCount))
    let (rows, positives) = (itemCounts.reduce(0, +), counts.dropFirst(itemCount).reduce(0, +))
    let mean = rows > 0 ? Double(positives) / Double(rows) : 0
    let biases = (0..<itemCount).map { item in
      let count = Double(counts[item])
      return (Double(counts[itemCount + item]) - mean * count) / (count + shrinkage)
    }
    self.mean = mean
    itemBiases = biases
    userBiases = Self.userBiases(shards, userCount, shrinkage) { label, item in
      Double(label) - mean - biases[item]
    }
    draws = Philox(seed: seed, purpose: .verification)
  }

  private static func userBiases(
    _ shards: [Rows], _ userCount: Int, _ shrinkage: Double, residual: (UInt8, Int) -> Double
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: userCount)
    var counts = [Int](repeating: 0, count: userCount)
    for shard in shards {
      for row in unsafe 0..<shard.users.count {
        let user = unsafe Int(shard.users[row])
        unsafe sums[user] += residual(shard.labels[row], Int(shard.items[row]))
        counts[user] += 1
      }
    }
    return zip(sums, counts).map { $0 / (Double($1) + shrinkage) }
  }

  /// The score of a pair; the user must be one of this rank's for ``Scorer/biases``.
  package func score(_ scorer: Scorer, user: UInt32, item: UInt32) -> Float {
    switch scorer {
    case .itemMean: Float(mean + itemBiases[Int(item)])
    case .biases: Float(mean + userBiases[Int(user)] + itemBiases[Int(item)])
    case .popularity: Float(itemCounts[Int(item)])
    case .random:
      // 24 bits are all that a Float in [0, 1) can keep.
      Float(draws.words(row: Int(user) << 32 | Int(item))[0] >> 8) * 0x1p-24
    }
  }
}
