/// How long ranks may wait for each other before the job is ended, and how that is told.
package struct StallWatch: Sendable {
  /// Seconds, above 0.
  package var timeout: Double
  /// The exit code of a job whose ranks waited too long.
  package var stallCode: Int32
  /// The exit code of a job whose ranks called different things.
  package var mismatchCode: Int32
  /// What every line starts with that ends a job, and every other line.
  package var linePrefix: String
  package var warningPrefix: String

  package init(
    timeout: Double, stallCode: Int32, mismatchCode: Int32, linePrefix: String = "",
    warningPrefix: String = "warning: "
  ) {
    precondition(timeout > 0, "waiting ends after more than no time")
    self.timeout = timeout
    self.stallCode = stallCode
    self.mismatchCode = mismatchCode
    self.linePrefix = linePrefix
    self.warningPrefix = warningPrefix
  }
}
