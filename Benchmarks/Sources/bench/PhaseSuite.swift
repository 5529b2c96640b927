import Measuring
import Storage

/// Where the time of a run goes, as the program itself reports it in `result.json`.
enum PhaseSuite {
  static let phases = ["sample", "exchange", "forward", "backward", "reduce", "update", "evaluate"]

  static func run(_ session: Session) throws {
    let dataset = try session.logs.mainDataset()
    let ranks = session.report.machine.cores > 1 ? [1, 2] : [1]
    var rows: [[String]] = []
    for count in ranks {
      for method in TrainingSuite.methods {
        let run = TrainingRun(dataset: dataset, method: method, ranks: count)
        var samples: [String: [Double]] = [:]
        for _ in 0..<3 {
          guard let phases = try run.run(session).phases else {
            return session.skip(
              .phases, "time per phase", "this build of inverse does not report it")
          }
          for (name, seconds) in phases { samples[name, default: []].append(seconds) }
        }
        rows.append(
          ["\(count)", method] + report(session, method, count, samples.mapValues(Summary.init)))
      }
    }
    print("share of the time in each phase, batch 8192, F 32, 4 epochs with evaluation")
    print(
      TextTable(
        [.right("ranks"), .left("method")] + phases.map { .right($0) } + [.right("s in all")],
        rows))
  }

  /// Saves the phases of a run and gives their cells.
  private static func report(
    _ session: Session, _ method: String, _ ranks: Int, _ seconds: [String: Summary]
  ) -> [String] {
    // A phase that this program names and this list does not know is still saved.
    for (name, value) in seconds.sorted(by: { $0.key < $1.key }) {
      session.add(
        .phases, "seconds", ["method": method, "ranks": "\(ranks)", "phase": name], unit: "s",
        value)
    }
    let total = seconds.values.reduce(0) { $0 + $1.median }
    let cells = phases.map { name in
      seconds[name].map { Figure.percent($0.median / total) } ?? "–"
    }
    return cells + [Figure.short(total)]
  }
}
