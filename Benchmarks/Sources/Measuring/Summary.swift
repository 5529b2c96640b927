/// Repeated samples of one figure, told by their median and their spread.
///
/// The median, because disturbances of a shared machine are one-sided and few; the extremes beside
/// it, because a median alone hides how far one run is from the next.
package struct Summary: Codable, Equatable, Sendable {
  /// In the order they were taken; at least one.
  package let samples: [Double]
  package let median: Double
  package let minimum: Double
  package let maximum: Double

  /// - Parameter samples: At least one finite number.
  package init(_ samples: [Double]) {
    precondition(!samples.isEmpty, "a summary needs at least one sample")
    self.samples = samples
    let sorted = samples.sorted()
    let middle = sorted.count / 2
    median =
      sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    minimum = sorted[0]
    maximum = sorted[sorted.count - 1]
  }

  /// Every sample through a function, such as seconds to rows per second.
  package func map(_ transform: (Double) -> Double) -> Summary { Summary(samples.map(transform)) }

  /// The quotients of samples taken in the same round: slow phases of the machine cancel.
  ///
  /// - Parameter other: As many samples, in the same order, none of them 0.
  /// - Returns: The summary of the quotients.
  package func ratio(to other: Summary) -> Summary {
    precondition(samples.count == other.samples.count, "ratios need samples taken in pairs")
    return Summary(zip(samples, other.samples).map { $0 / $1 })
  }
}
