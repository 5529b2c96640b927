import Kernels
import Measuring
import Peaks
import Sharding

/// What a step costs on one table: gathering 8,192 random rows and updating them.
///
/// Two questions: does the cost depend on the size of the table, and how much of the memory's
/// random-row bandwidth is used when the table is far out of cache.
enum TableSuite {
  static func run(_ session: Session) {
    sizes(session)
    for (name, optimizer) in [("adam", RowOptimizer.adam), ("sgd", .gradientDescent)] {
      bandwidth(session, name, optimizer)
    }
  }

  /// F = 8 with Adam: 1 M, 10 M and 100 M rows.
  private static func sizes(_ session: Session) {
    var sizes: [Int] = []
    var left = available
    for rows in [1_000_000, 10_000_000, 100_000_000]
    where !session.options.isQuick || rows < 100_000_000 {
      let bytes = TableBenchmark.bytes(rows: rows, factors: 8, optimizer: .adam)
      guard bytes < left else {
        session.skip(.tables, "a table of \(rows) rows", needs(bytes, left))
        continue
      }
      left -= bytes
      sizes.append(rows)
    }
    let tables = sizes.map { TableBenchmark(rows: $0, factors: 8, optimizer: .adam) }
    let seconds = Rounds.measure(session.rounds, tables.map { table in { table.secondsPerRow() } })
    guard let first = seconds.first else { return }
    print("F 8, Adam, 8,192 random rows per step: gather and update")
    var cells: [[String]] = []
    for (rows, time) in zip(sizes, seconds) {
      let ratio = time.ratio(to: first)
      session.add(.tables, "row_time", ["rows": "\(rows)"], unit: "ns", time.map { 1e9 * $0 })
      session.add(.tables, "size_ratio", ["rows": "\(rows)"], unit: "×", ratio)
      cells.append(
        [
          "\(rows)", Figure.spread(time.map { 1e9 * $0 }, Figure.short),
          Figure.spread(ratio, Figure.short),
        ])
    }
    print(TextTable([.right("rows"), .right("ns per row"), .right("beside the smallest")], cells))
  }

  /// F = 128 on 10 M rows, or as many as fit.
  private static func bandwidth(_ session: Session, _ name: String, _ optimizer: RowOptimizer) {
    let perRow =
      TableBenchmark.bytes(rows: 1_000_000, factors: 128, optimizer: optimizer) / 1_000_000
    let wanted = session.options.isQuick ? 1_000_000 : 10_000_000
    let most = available / perRow
    guard most >= 1_000_000 else {
      return session.skip(
        .tables, "F 128 with \(name)", needs(1_000_000 * perRow, available))
    }
    let rows = min(wanted, most)
    if rows < wanted {
      session.skip(
        .tables, "\(wanted) rows of F 128 with \(name)",
        needs(wanted * perRow, available) + "; measured with \(rows) rows")
    }
    // On a table of the same size, so that pages far apart cost both alike; before the table itself
    // needs the memory.
    let peak = randomUpdates(rows: rows, rounds: session.rounds)
    let table = TableBenchmark(rows: rows, factors: 128, optimizer: optimizer)
    let seconds = Rounds.measure(session.rounds, [{ table.secondsPerRow() }])[0]
    // Weights and moments are read and written once; the update finds the weights, which the
    // gather has just read, in the cache.
    let bytes = 2 * 512.0 * Double(1 + optimizer.stateCounts(stride: 128).count)
    let share = seconds.map { 100 * bytes / peak / $0 }
    let key = ["optimizer": name, "rows": "\(rows)"]
    session.add(.tables, "bandwidth", key, unit: "B/s", seconds.map { bytes / $0 })
    session.add(.tables, "bandwidth_share", key, unit: "%", share)
    print(
      "F 128, \(name), \(rows) rows: \(Figure.spread(seconds.map { 1e9 * $0 }, Figure.short)) "
        + "ns per row, \(Figure.spread(share, Figure.short)) % of the random-row bandwidth")
  }

  /// Bytes per second, read and written, of adding one to random rows of 512 bytes.
  private static func randomUpdates(rows: Int, rounds: Int) -> Double {
    let random = RandomRows(rowBytes: 512, tableBytes: 512 * rows, visits: 1 << 19)
    return 2 * Double(random.bytes) / MachineSuite.best(random, rounds: rounds).update.median
  }

  /// What may be used: most of the free memory, not all of it.
  private static var available: Int { (MachineDescription.availableBytes ?? 0) / 10 * 8 }

  private static func needs(_ bytes: Int, _ available: Int) -> String {
    "needs \(bytes >> 20) MiB, and \(available >> 20) MiB may be used"
  }
}
