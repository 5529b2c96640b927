import Evaluation
package import Storage

extension TrainingState {
  /// Counts above this are damage: no sum of a few of them overflows.
  private static let largestCount = 1 << 48

  /// Refuses a state that no run can have come to.
  ///
  /// - Parameters:
  ///   - path: Where it comes from, for the message.
  ///   - stepsPerEpoch: Of the run that is to go on.
  /// - Throws: `Failure` of kind data.
  package func check(_ path: String, stepsPerEpoch: Int) throws(Failure) {
    let counts = [
      ("epoch", epoch), ("step", step), ("number", number), ("labeledRows", labeledRows),
      ("unlabeledRows", unlabeledRows), ("rowsDone", rowsDone), ("best.sinceBest", best.sinceBest),
    ]
    let decisions = [epochDecisions, decisions].flatMap { [$0.direct, $0.none, $0.inverse] }
    for (name, count) in counts + decisions.map({ ("decisions", $0) }) {
      guard (0...Self.largestCount).contains(count) else {
        throw .data("\(path): \(name) is \(count); no run comes to that")
      }
    }
    let (done, overflow) = epoch.multipliedReportingOverflow(by: stepsPerEpoch)
    guard !overflow, step <= stepsPerEpoch, number - step == done else {
      throw .data(
        "\(path): \(number) steps are done after step \(step) of epoch \(epoch + 1); an epoch of "
          + "this run has \(stepsPerEpoch) steps")
    }
    guard history.count == epoch, best.epoch.map({ (1...max(1, epoch)).contains($0) }) ?? true,
      best.criterion == configuration.select
    else { throw .data("\(path): the history does not fit epoch \(epoch + 1)") }
  }
}
