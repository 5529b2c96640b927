import Measuring
import Storage

/// The price of sums that are the same for every number of ranks: `--reduction ordered` beside
/// `native` on two ranks, in turn.
enum OrderSuite {
  static func run(_ session: Session) throws {
    guard session.report.machine.cores > 1 else {
      return session.skip(.order, "two ranks", "this machine has one core")
    }
    let dataset = try session.logs.mainDataset()
    var rows: [[String]] = []
    for method in ["bce", "ig"] {
      let rates = try Rounds.measure(
        session.options.isQuick ? 3 : 7,
        ["ordered", "native"].map { reduction in
          let run = TrainingRun(
            dataset: dataset, method: method, epochs: session.options.isQuick ? 3 : 8, ranks: 2,
            options: ["--reduction", reduction])
          return { try run.run(session).rowsPerSecond }
        })
      for (reduction, rate) in zip(["ordered", "native"], rates) {
        session.add(
          .order, "rows_per_second", ["method": method, "reduction": reduction], unit: "rows/s",
          rate)
      }
      let price = rates[1].ratio(to: rates[0]).map { 100 * ($0 - 1) }
      session.add(.order, "price", ["method": method], unit: "%", price)
      rows.append(
        [method] + rates.map { Figure.spread($0) } + [Figure.spread(price, Figure.short)])
    }
    print("labeled rows/s, 2 ranks, batch 8192, F 32; the price in time per row")
    print(
      TextTable(
        [.left("method"), .right("ordered"), .right("native"), .right("price in %")], rows))
  }
}
