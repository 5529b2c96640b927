import Storage

extension TrainingState {
  /// Says the first time that a step was left out, and gives up after too many in a row.
  ///
  /// - Parameters:
  ///   - record: Of a step that was left out and recorded.
  ///   - warn: Called with one line.
  /// - Throws: `Failure` of kind software, the same on all ranks.
  func requireProgress(_ record: StepRecord, warn: (String) -> Void) throws(Failure) {
    let time = "in epoch \(epoch + 1), step \(step)"
    if let reason = record.reason {
      warn(
        "a step was left out, since \(reason) \(time); further ones are only counted; "
          + NumericalGuard.advice)
    }
    guard skippedInARow ?? 0 >= NumericalGuard.mostSkipped else { return }
    throw .software(
      "\(NumericalGuard.mostSkipped) steps in a row were left out, the last \(time), because their "
        + "numbers were not finite; \(NumericalGuard.advice)")
  }
}
