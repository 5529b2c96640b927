import Foundation

/// A program started by a test: its outputs, signals to it, and its end within a deadline.
///
/// It runs in a process group of its own and is killed, with everything it started, when a
/// deadline passes or when this object goes away. `Foundation.Process` offers neither.
package final class RunningProcess: Sendable {
  /// How a program ended, and what it wrote.
  package struct Outcome: Sendable, Equatable {
    /// The exit code, or the negative number of the signal that ended the program.
    package var status: Int32
    package var standardOutput: String
    package var standardError: String
    /// Whether the program had to be killed because its deadline had passed.
    package var timedOut: Bool
  }

  private let state: ProcessState

  /// Starts `executable`, found along `PATH` unless it contains a slash.
  ///
  /// - Parameters:
  ///   - executable: The program.
  ///   - arguments: Without the name of the program.
  ///   - environment: Added to the environment of the test; `nil` removes a variable.
  /// - Throws: `POSIXError` when the program cannot be started.
  package init(
    _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:]
  ) throws {
    state = try ProcessState(executable, arguments, environment)
  }

  deinit { state.killAll() }

  /// The number of the process.
  package var pid: Int32 { state.pid }
  /// What the program has written to its standard output so far.
  package var standardOutput: String { state.text(.output) }
  /// What the program has written to its standard error stream so far.
  package var standardError: String { state.text(.error) }

  /// Sends `signal` to the program itself; without effect when it has ended.
  package func terminate(_ signal: Int32 = SIGTERM) {
    state.send(signal)
  }

  /// Waits until the standard output contains `count` times `text`.
  ///
  /// - Returns: Whether it does; `false` when `deadline` seconds have passed or the program has
  ///   closed its output without.
  package func waitForOutput(
    _ text: String, count: Int = 1, deadline: Double = 60
  ) -> Bool {
    state.wait(until: Date(timeIntervalSinceNow: deadline)) {
      $0.text(.output).components(separatedBy: text).count > count
    }
  }

  /// Waits until the standard error stream contains `text`.
  ///
  /// - Returns: Whether it does; `false` when `deadline` seconds have passed or the program has
  ///   closed its output without.
  package func waitForError(_ text: String, deadline: Double = 60) -> Bool {
    state.wait(until: Date(timeIntervalSinceNow: deadline)) { $0.text(.error).contains(text) }
  }

  /// Waits until the program has ended and its outputs are closed, also by what it had started.
  ///
  /// After `deadline` seconds the program and everything it started are killed.
  package func wait(deadline: Double = 60) -> Outcome {
    let ended = state.wait(until: Date(timeIntervalSinceNow: deadline)) { $0.hasEnded }
    if !ended {
      state.killAll()
      // Killed programs end at once, but one that escaped may hold the outputs open for ever.
      _ = state.wait(until: Date(timeIntervalSinceNow: 10)) { $0.hasEnded }
    }
    return Outcome(
      status: state.status ?? -SIGKILL, standardOutput: standardOutput,
      standardError: standardError, timedOut: !ended)
  }
}
