import ArgumentParser
import MPI
import Storage

/// The option of commands that run on many ranks about waiting for each other.
struct StallOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Seconds that ranks may wait for one of them before the job is ended with exit code 69, "
        + "naming it; 0: for ever.",
      valueName: "seconds"))
  var stallTimeout = 300

  func validate() throws {
    guard stallTimeout >= 0, stallTimeout <= 1_000_000_000 else {
      throw ValidationError("--stall-timeout \(stallTimeout): must be in 0 ... 1000000000")
    }
  }

  /// What watches the ranks; `nil` for nothing.
  var watch: StallWatch? {
    guard stallTimeout > 0 else { return nil }
    return StallWatch(
      timeout: Double(stallTimeout), stallCode: Failure.Kind.unavailable.rawValue,
      mismatchCode: Failure.Kind.software.rawValue, linePrefix: "inverse: error: ",
      warningPrefix: "inverse: warning: ")
  }
}
