import Foundation

/// A scale from values to pixels with round ticks.
package struct Axis: Equatable, Sendable {
  package enum Scale: Sendable {
    case linear, logarithmic
  }

  package let scale: Scale
  package let low: Double
  package let high: Double
  package let ticks: [Double]

  /// A linear axis from 0 to a round number at or above `most`.
  package static func fromZero(to most: Double) -> Axis {
    let most = most > 0 && most.isFinite ? most : 1
    let step = roundStep(most / 5)
    let count = Int((most / step).rounded(.up))
    return Axis(
      scale: .linear, low: 0, high: Double(count) * step,
      ticks: (0...count).map { Double($0) * step })
  }

  /// A logarithmic axis over whole powers of `base` that hold all values, which are above 0.
  package static func logarithmic(_ values: [Double], base: Double = 10) -> Axis {
    let usable = values.filter { $0 > 0 && $0.isFinite }
    let (least, most) = (usable.min() ?? 1, usable.max() ?? 1)
    // Rounding must not lift an exact power to the next.
    let first = Int((log(least) / log(base) + 1e-9).rounded(.down))
    let last = max(first + 1, Int((log(most) / log(base) - 1e-9).rounded(.up)))
    let ticks = (first...last).map { pow(base, Double($0)) }
    return Axis(scale: .logarithmic, low: ticks[0], high: ticks[ticks.count - 1], ticks: ticks)
  }

  /// Where a value lies, 0 at `low` and 1 at `high`.
  package func position(_ value: Double) -> Double {
    switch scale {
    case .linear: (value - low) / (high - low)
    case .logarithmic: log(value / low) / log(high / low)
    }
  }

  /// The smallest of 1, 2, 5 times a power of ten that is at least `value`.
  private static func roundStep(_ value: Double) -> Double {
    let power = pow(10, log10(value).rounded(.down))
    for factor in [1.0, 2, 5] where factor * power >= value * (1 - 1e-9) { return factor * power }
    return 10 * power
  }
}
