import Foundation
import Randomness

/// The truth behind a simulated feed: who likes what, and how it comes to be shown.
///
///     z[u, i] = a + b[u] + c[i] + p[u] · q[i]        a pair's truth is 1 with probability σ(z)
///
/// with `b`, `c` and the 8 factors `p`, `q` normal. The standard deviations make a scorer that
/// knows `z` reach an AUC of about .89, and `a` makes about two thirds of the shown pairs positive.
/// Items are shown in proportion to a popularity that falls like a power of their rank (Zipf), and
/// up to twice as often to those they suit.
///
/// Every value is a function of the seed and of the user and item.
package struct FeedModel: Sendable {
  /// What a random number is for: the `epoch` of the generator of purpose `synthesis`.
  enum Stream: Int {
    case userBias
    case itemBias
    case userFactors
    case itemFactors
    case activity
    case exposure
    case truth
    case reaction
  }

  private static let factors = 8
  private static let mean = 0.85
  private static let userDeviation = 1.0
  private static let itemDeviation = 1.3
  /// Of `p · q`.
  private static let affinityDeviation = 1.75
  private static let popularityExponent = 0.8
  private static let popularityOffset = 10.0

  let random: Philox
  private let items: Int
  private let userBias: [Float]
  private let itemBias: [Float]
  /// `(users, 8)` and `(items, 8)`.
  private let userFactors: [Float]
  private let itemFactors: [Float]
  /// Sums of the popularities of the items before each, and of all.
  private let cumulative: [Double]

  /// The feed of the given size and seed.
  package init(_ options: SynthesisOptions) {
    let random = Philox(seed: options.seed, purpose: .synthesis)
    func normals(_ stream: Stream, _ rows: Int, _ columns: Int, _ deviation: Double) -> [Float] {
      (0..<rows * columns).map { index in
        Float(deviation * random.normalPair(epoch: stream.rawValue, row: index).0)
      }
    }
    // The product of two normals with deviation s has deviation s²; the sum of 8, √8 · s².
    let deviation = (Self.affinityDeviation / Double(Self.factors).squareRoot()).squareRoot()
    self.random = random
    items = options.items
    userBias = normals(.userBias, options.users, 1, Self.userDeviation)
    itemBias = normals(.itemBias, options.items, 1, Self.itemDeviation)
    userFactors = normals(.userFactors, options.users, Self.factors, deviation)
    itemFactors = normals(.itemFactors, options.items, Self.factors, deviation)
    let rank = Permutation(count: options.items, seed: options.seed, purpose: .synthesis)
    var cumulative = [0.0]
    for item in 0..<options.items {
      let weight = pow(Double(rank[item]) + Self.popularityOffset, -Self.popularityExponent)
      cumulative.append(cumulative[item] + weight)
    }
    self.cumulative = cumulative
  }

  /// `z` of a pair.
  package func logit(user: Int, item: Int) -> Double {
    Self.mean + Double(userBias[user] + itemBias[item]) + affinity(user, item)
  }

  /// Whether the user likes the item.
  package func truth(user: Int, item: Int) -> Bool {
    let row = pair(user, item)
    return random.uniform(epoch: Stream.truth.rawValue, row: row)
      < sigmoid(logit(user: user, item: item))
  }

  /// A number of its own for every pair.
  func pair(_ user: Int, _ item: Int) -> Int { user * items + item }

  /// Try number `draw` to show something to a user: an item, or `nil`.
  func candidate(user: Int, draw: Int) -> Int? {
    let words = random.words(epoch: Stream.exposure.rawValue, row: user, draw: draw)
    let place = Double(UInt64(words[0]) << 21 | UInt64(words[1]) >> 11) * 0x1p-53
    let wanted = place * cumulative[items]
    var (low, high) = (0, items)
    while high - low > 1 {
      let middle = (low + high) / 2
      if cumulative[middle] <= wanted { low = middle } else { high = middle }
    }
    let acceptance = (1 + sigmoid(affinity(user, low))) / 2
    return Double(words[2]) * 0x1p-32 < acceptance ? low : nil
  }

  private func affinity(_ user: Int, _ item: Int) -> Double {
    var sum: Float = 0
    for factor in 0..<Self.factors {
      sum += userFactors[user * Self.factors + factor] * itemFactors[item * Self.factors + factor]
    }
    return Double(sum)
  }
}

private func sigmoid(_ value: Double) -> Double { 1 / (1 + exp(-value)) }
