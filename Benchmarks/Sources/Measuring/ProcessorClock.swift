import Foundation

/// Processor time of the calling thread: what a loop costs, whoever else wants the core.
package enum ProcessorClock {
  /// Seconds since some fixed moment.
  package static var seconds: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Seconds per call of `body`, called often enough to fill `least` seconds.
  ///
  /// - Parameters:
  ///   - least: The shortest time worth measuring, in seconds.
  ///   - body: The work, without set-up.
  /// - Returns: The mean over the calls of the last, long enough batch of calls.
  package static func secondsPerCall(atLeast least: Double, _ body: () -> Void) -> Double {
    var calls = 1
    while true {
      let start = seconds
      for _ in 0..<calls { body() }
      let elapsed = seconds - start
      if elapsed >= least { return elapsed / Double(calls) }
      let factor = elapsed > 0 ? 1.2 * least / elapsed : 100
      calls = max(calls + 1, Int(Double(calls) * min(factor, 100)))
    }
  }
}
