import Measuring
import Storage

/// Labeled rows per second of whole runs: method × factors × batch, one rank; and the wall time of
/// the published schedule of the reference implementation.
enum TrainingSuite {
  static let methods = ["bce", "negatives", "idl", "ig"]

  static func run(_ session: Session) throws {
    let quick = session.options.isQuick
    let dataset = try session.logs.mainDataset()
    let factors = quick ? [32] : [16, 32, 64, 128]
    let batches = quick ? [8192] : [1024, 8192, 65536]
    var runs: [TrainingRun] = []
    for batch in batches {
      for width in factors {
        for method in methods {
          runs.append(
            TrainingRun(
              dataset: dataset, method: method, factors: width, batch: batch, epochs: quick ? 2 : 3)
          )
        }
      }
    }
    // Three rounds of all 48 combinations, not five: the whole suite stays within minutes.
    let rates = try Rounds.measure(
      3, runs.map { run in { try run.run(session).rowsPerSecond } })
    for (run, rate) in zip(runs, rates) {
      session.add(
        .training, "rows_per_second",
        ["method": run.method, "factors": "\(run.factors)", "batch": "\(run.batch)"],
        unit: "rows/s", rate)
    }
    for batch in batches { printTable(session, batch, factors) }
    try schedule(session)
  }

  private static func printTable(_ session: Session, _ batch: Int, _ factors: [Int]) {
    print("labeled rows/s, batch \(batch), one rank, Adam: median (least–most)")
    print(
      TextTable(
        [.left("method")] + factors.map { .right("F \($0)") },
        methods.map { method in
          [method]
            + factors.map { width in
              let key = ["method": method, "factors": "\(width)", "batch": "\(batch)"]
              return session.report.find("training", "rows_per_second", key).map {
                Figure.spread($0)
              } ?? "–"
            }
        }))
  }

  /// Ten epochs over 240,050 labeled rows of which one step in ten is an inverse gradient step,
  /// from the start of the process to its end.
  private static func schedule(_ session: Session) throws {
    let dataset = try session.logs.dataset("schedule", try session.logs.schedule())
    let run = TrainingRun(
      dataset: dataset, method: "ig", batch: 1024, epochs: 10, options: ["--inner-share", "0.1"])
    var seconds: [Double] = []
    var steps: [Double] = []
    for _ in 0..<session.rounds {
      let outcome = try run.run(session)
      seconds.append(outcome.cost.wallSeconds)
      steps.append(10 * 240_050 / outcome.rowsPerSecond)
    }
    session.add(.training, "schedule_seconds", unit: "s", Summary(seconds))
    session.add(.training, "schedule_step_seconds", unit: "s", Summary(steps))
    print(
      "10 epochs of ig with inner share 0.1, batch 1024, 240,050 rows: "
        + "\(Figure.spread(Summary(seconds))) s, of which steps \(Figure.spread(Summary(steps))) s")
  }
}
