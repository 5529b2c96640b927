import Foundation

/// Tells the user how far training is within an epoch: a bar that redraws itself on a terminal, else a
/// line a minute. Finished epochs are logged by others.
package struct ProgressBar {
  /// Where progress is told.
  package enum Display {
    /// Nowhere: ranks other than 0.
    case none
    /// In one line of standard error, which is a terminal.
    case terminal
    /// By lines, for logs that are read later.
    case lines((String) -> Void)
  }

  private static let width = 24
  private let display: Display
  private let start: ContinuousClock.Instant
  private var lastTold: ContinuousClock.Instant
  private var isDrawn = false
  private let rowsAtStart: Int

  /// - Parameters:
  ///   - display: Where.
  ///   - rowsDone: Rows of the run that are done already.
  ///   - now: The time.
  package init(_ display: Display, rowsDone: Int, now: ContinuousClock.Instant = .now) {
    self.display = display
    (start, lastTold) = (now, now)
    rowsAtStart = rowsDone
  }

  /// Redraws at most ten times a second; says a line when none was said for a minute.
  package mutating func update(
    epoch: Int, epochs: Int, rowsDone: Int, rowsTotal: Int, now: ContinuousClock.Instant = .now
  ) {
    let pause: Duration
    switch display {
    case .none: return
    case .terminal: pause = isDrawn ? .milliseconds(100) : .zero
    case .lines: pause = .seconds(60)
    }
    guard now - lastTold >= pause else { return }
    lastTold = now
    let elapsed = (now - start) / .seconds(1)
    let rate = Double(rowsDone - rowsAtStart) / max(elapsed, 1e-9)
    if case .lines(let say) = display {
      let figures = Self.figures(rowsDone: rowsDone, rowsTotal: rowsTotal, rowsPerSecond: rate)
      let percent = Self.share(rowsDone, of: rowsTotal).percent
      return say("epoch \(epoch)/\(epochs)  \(percent) % of all  \(figures)")
    }
    isDrawn = true
    let line = Self.line(
      epoch: epoch, epochs: epochs, rowsDone: rowsDone, rowsTotal: rowsTotal, rowsPerSecond: rate)
    FileHandle.standardError.write(Data("\r\(line)\u{1B}[K".utf8))
  }

  /// Leaves the line to what is printed next, the end of an epoch.
  package mutating func clear(now: ContinuousClock.Instant = .now) {
    lastTold = now
    guard isDrawn else { return }
    isDrawn = false
    FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
  }

  /// `epoch 3/20 [=====     ]  25 %  1.93 M rows/s  0:12 left`
  package static func line(
    epoch: Int, epochs: Int, rowsDone: Int, rowsTotal: Int, rowsPerSecond: Double
  ) -> String {
    let share = share(rowsDone, of: rowsTotal)
    let filled = Int(share.value * Double(width))
    let bar =
      String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
    let percent = "\(share.percent)"
    let indent = String(repeating: " ", count: 3 - percent.count)
    let figures = figures(rowsDone: rowsDone, rowsTotal: rowsTotal, rowsPerSecond: rowsPerSecond)
    return "epoch \(epoch)/\(epochs) [\(bar)] \(indent)\(percent) %  \(figures)"
  }

  /// Of the whole run.
  private static func share(_ done: Int, of total: Int) -> (value: Double, percent: Int) {
    let share = total > 0 ? min(1, Double(done) / Double(total)) : 0
    return (share, Int((share * 100).rounded()))
  }

  /// `1.93 M rows/s  0:12 left`
  private static func figures(rowsDone: Int, rowsTotal: Int, rowsPerSecond: Double) -> String {
    let left = rowsPerSecond > 0 ? Double(max(0, rowsTotal - rowsDone)) / rowsPerSecond : 0
    return "\(rate(rowsPerSecond)) rows/s  \(duration(left)) left"
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
