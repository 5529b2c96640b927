import Measuring
import Storage

/// The largest resident set of training runs beside what their model and log justify.
enum MemorySuite {
  /// A run whose memory is measured.
  private struct Case {
    let name: String
    let dataset: String
    let factors: Int
    var ranks = 1
  }

  static func run(_ session: Session) throws {
    let main = try session.logs.mainDataset()
    let feed = try session.logs.dataset("feed", try session.logs.feed())
    var cases = [
      Case(name: "training data", dataset: main, factors: 32),
      Case(name: "training data", dataset: main, factors: 128),
      Case(name: session.logs.feedName, dataset: feed, factors: 32),
      Case(name: session.logs.feedName, dataset: feed, factors: 128),
    ]
    if session.report.machine.cores > 1 {
      cases.append(Case(name: session.logs.feedName, dataset: feed, factors: 128, ranks: 2))
    }
    var rows: [[String]] = []
    for item in cases { rows.append(try measure(session, item)) }
    print("ig, batch 8192, Adam, 2 epochs with evaluation and checkpoints; the largest rank")
    print(
      TextTable(
        [
          .left("log"), .right("F"), .right("ranks"), .right("parameters and state"),
          .right("dictionaries"), .right("peak"), .right("bound"), .right("share"),
        ], rows))
  }

  private static func measure(_ session: Session, _ item: Case) throws -> [String] {
    let run = TrainingRun(
      dataset: item.dataset, method: "ig", factors: item.factors, epochs: 2, ranks: item.ranks)
    let outcome = try run.run(session)
    guard outcome.cost.peakBytes > MachineDescription.ownPeakBytes ?? 0 else {
      throw Failure.software(
        "this process is larger than those it measures; run the memory suite alone")
    }
    let identifiers = "\(item.dataset)/identifiers"
    let dictionaries = try Files.names(in: identifiers).reduce(0) {
      $0 + (Files.size(of: "\(identifiers)/\($1)") ?? 0)
    }
    let bound = MemoryBound.bytes(
      parameters: outcome.parameterBytes, state: outcome.stateBytes, dictionaries: dictionaries)
    let peak = Double(outcome.cost.peakBytes)
    let key = ["log": item.name, "factors": "\(item.factors)", "ranks": "\(item.ranks)"]
    session.add(.memory, "peak", key, unit: "B", Summary([peak]))
    session.add(.memory, "share_of_bound", key, unit: "%", Summary([100 * peak / bound]))
    return [
      item.name, "\(item.factors)", "\(item.ranks)",
      Figure.mebibytes(Double(outcome.parameterBytes + outcome.stateBytes)),
      Figure.mebibytes(Double(dictionaries)), Figure.mebibytes(peak), Figure.mebibytes(bound),
      Figure.percent(peak / bound),
    ]
  }
}
