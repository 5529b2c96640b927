import Measuring
import Storage

/// Rows per second over 1 … cores ranks of this machine.
///
/// Strong scaling keeps the batch, weak scaling keeps the batch per rank.
enum ScalingSuite {
  static func run(_ session: Session) throws {
    let cores = session.report.machine.cores
    guard cores > 1 else {
      return session.skip(.scaling, "ranks", "this machine has one core")
    }
    // Every number of ranks up to four, then powers of two and all cores.
    let ranks = (1...cores).filter { $0 <= 4 || $0 & ($0 - 1) == 0 || $0 == cores }
    let dataset = try session.logs.mainDataset()
    for method in ["bce", "ig"] {
      for batch in session.options.isQuick ? [8192] : [1024, 8192, 65536] {
        try measure(session, "strong", method, batch, ranks, dataset) { _ in batch }
      }
      if session.options.isQuick { continue }
      try measure(session, "weak", method, 8192, ranks, dataset) { 8192 * $0 }
    }
    printTable(session, ranks)
  }

  private static func measure(
    _ session: Session, _ kind: String, _ method: String, _ batch: Int, _ ranks: [Int],
    _ dataset: String, batchFor: (Int) -> Int
  ) throws {
    let runs = ranks.map {
      TrainingRun(
        dataset: dataset, method: method, batch: batchFor($0),
        epochs: session.options.isQuick ? 3 : 6, ranks: $0)
    }
    let rates = try Rounds.measure(
      session.rounds, runs.map { run in { try run.run(session).rowsPerSecond } })
    for (count, rate) in zip(ranks, rates) {
      let key = ["method": method, "batch": "\(batch)", "ranks": "\(count)"]
      session.add(.scaling, "\(kind)_rows_per_second", key, unit: "rows/s", rate)
      session.add(.scaling, "\(kind)_speedup", key, unit: "×", rate.ratio(to: rates[0]))
    }
  }

  private static func printTable(_ session: Session, _ ranks: [Int]) {
    var rows: [[String]] = []
    for kind in ["strong", "weak"] {
      for first in session.report.all("scaling", "\(kind)_rows_per_second", ["ranks": "1"]) {
        var key = first.parameters
        var cells: [String] = []
        for count in ranks {
          key["ranks"] = "\(count)"
          cells.append(
            session.report.find("scaling", "\(kind)_rows_per_second", key).map {
              Figure.scaled($0.median)
            } ?? "–")
          guard count > 1 else { continue }
          cells.append(
            session.report.find("scaling", "\(kind)_speedup", key).map {
              Figure.spread($0, Figure.short)
            } ?? "–")
        }
        rows.append([kind, key["method"] ?? "", key["batch"] ?? ""] + cells)
      }
    }
    print("labeled rows/s, F 32; × is the ratio to one rank, round by round")
    print(
      TextTable(
        [.left("kind"), .left("method"), .right("batch"), .right("1 rank")]
          + ranks.dropFirst().flatMap { [.right("\($0) ranks"), .right("×")] },
        rows))
  }
}
