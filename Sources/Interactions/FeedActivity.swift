import Foundation
import Randomness

/// How many items each user of a simulated feed is shown: log-normal, so that a few users see most.
enum FeedActivity {
  private static let deviation = 0.8

  /// Whole numbers in proportion to log-normal weights, with a given sum.
  ///
  /// - Parameters:
  ///   - options: Users, items and exposures in all; validated.
  ///   - random: The generator of the feed.
  /// - Returns: One number per user, from 1 to half the items.
  static func counts(_ options: SynthesisOptions, _ random: Philox) -> [Int] {
    let weights = (0..<options.users).map { user in
      let stream = FeedModel.Stream.activity.rawValue
      return exp(deviation * random.normalPair(epoch: stream, row: user).0)
    }
    let most = options.items / 2
    func counts(_ scale: Double) -> [Int] {
      weights.map { min(most, max(1, Int(min(scale * $0, Double(most))))) }
    }
    // The sum ascends with the scale; the largest scale whose sum is not too large is what we want.
    var (low, high) = (0.0, Double(most) / (weights.min() ?? 1))
    for _ in 0..<100 {
      let middle = (low + high) / 2
      if counts(middle).reduce(0, +) <= options.interactions { low = middle } else { high = middle }
    }
    var result = counts(low)
    var missing = options.interactions - result.reduce(0, +)
    while missing > 0 {
      for user in result.indices where missing > 0 && result[user] < most {
        result[user] += 1
        missing -= 1
      }
    }
    return result
  }
}
