import Foundation

/// Numbers as people read them: three significant digits, and a prefix instead of zeros.
package enum Figure {
  /// `12.3`, `1.23`, `0.0123`, `123`, `1230`.
  package static func short(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    guard value != 0 else { return "0" }
    let decimals = max(0, 2 - Int(log10(abs(value)).rounded(.down)))
    return String(format: "%.\(min(decimals, 9))f", value)
  }

  /// `12.3 M`, `1.23 k`, `456`.
  package static func scaled(_ value: Double) -> String {
    for (factor, prefix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= factor {
      return "\(short(value / factor)) \(prefix)"
    }
    return short(value)
  }

  /// The median with its spread, scaled: `5.1 M (4.4 M–5.6 M)`.
  package static func spread(_ summary: Summary, _ text: (Double) -> String = scaled) -> String {
    guard summary.samples.count > 1 else { return text(summary.median) }
    return "\(text(summary.median)) (\(text(summary.minimum))–\(text(summary.maximum)))"
  }

  /// `85 %`.
  package static func percent(_ share: Double) -> String {
    "\(short(100 * share)) %"
  }

  /// `12.3 MiB`.
  package static func mebibytes(_ bytes: Double) -> String { "\(short(bytes / 1_048_576)) MiB" }
}
