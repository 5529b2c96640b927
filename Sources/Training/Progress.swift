import Foundation

/// Tells the user how far training is: a bar that redraws itself on a terminal, nothing otherwise
/// (finished epochs are logged either way).
package struct ProgressBar {
  private static let width = 24
  private let isShown: Bool
  private let start = ContinuousClock.now
  private var lastDrawn: ContinuousClock.Instant?
  private let rowsAtStart: Int

  /// - Parameters:
  ///   - isShown: Rank 0 with a terminal on its standard error stream.
  ///   - rowsDone: Rows of the run that are done already.
  init(isShown: Bool, rowsDone: Int) {
    self.isShown = isShown
    rowsAtStart = rowsDone
  }

  /// Whether the standard error stream is a terminal.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Redraws at most ten times a second.
  mutating func update(epoch: Int, epochs: Int, rowsDone: Int, rowsTotal: Int) {
    guard isShown else { return }
    let now = ContinuousClock.now
    if let lastDrawn, now - lastDrawn < .milliseconds(100) { return }
    lastDrawn = now
    let elapsed = (now - start) / .seconds(1)
    let line = Self.line(
      epoch: epoch, epochs: epochs, rowsDone: rowsDone, rowsTotal: rowsTotal,
      rowsPerSecond: Double(rowsDone - rowsAtStart) / max(elapsed, 1e-9))
    FileHandle.standardError.write(Data("\r\(line)\u{1B}[K".utf8))
  }

  /// Leaves the line to what is printed next.
  mutating func clear() {
    guard isShown, lastDrawn != nil else { return }
    lastDrawn = nil
    FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
  }

  /// `epoch 3/20 [=====     ]  25 %  1.93 M rows/s  0:12 left`
  package static func line(
    epoch: Int, epochs: Int, rowsDone: Int, rowsTotal: Int, rowsPerSecond: Double
  ) -> String {
    let share = rowsTotal > 0 ? min(1, Double(rowsDone) / Double(rowsTotal)) : 0
    let filled = Int(share * Double(width))
    let bar =
      String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
    let left = rowsPerSecond > 0 ? Double(max(0, rowsTotal - rowsDone)) / rowsPerSecond : 0
    let percent = "\(Int((share * 100).rounded()))"
    let indent = String(repeating: " ", count: 3 - percent.count)
    return "epoch \(epoch)/\(epochs) [\(bar)] \(indent)\(percent) %  "
      + "\(rate(rowsPerSecond)) rows/s  \(duration(left)) left"
  }

  /// `1.93 M`, `45.1 k`, `312`.
  package static func rate(_ perSecond: Double) -> String {
    switch perSecond {
    case 1e6...: String(format: "%.2f M", perSecond / 1e6)
    case 1e3...: String(format: "%.1f k", perSecond / 1e3)
    default: String(format: "%.0f", perSecond)
    }
  }

  /// `0:07`, `12:30`, `3:05:00`.
  package static func duration(_ seconds: Double) -> String {
    let total = Int(seconds.rounded(.up))
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, rest)
      : String(format: "%d:%02d", minutes, rest)
  }
}
