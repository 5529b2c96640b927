import Measuring
import Storage

/// Rows per second of processor time that `inverse prepare` takes from tab-separated text, process
/// start and checksums included.
enum PreparationSuite {
  static func run(_ session: Session) throws {
    let logs = [
      ("training data", try session.logs.main()),
      (session.logs.feedName, try session.logs.feed()),
    ]
    let rows = try logs.map { try countLines($0.1) }
    let seconds = try Rounds.measure(
      session.rounds,
      logs.map { log in
        {
          let path = session.freshPath("prepared")
          defer { try? Files.remove(path) }
          return try session.inverse(["prepare"] + log.1.arguments + [path]).processorSeconds
        }
      })
    var cells: [[String]] = []
    for ((name, count), time) in zip(zip(logs.map(\.0), rows), seconds) {
      let rate = time.map { Double(count) / $0 }
      let key = ["log": name, "rows": "\(count)"]
      session.add(.preparation, "core_seconds", key, unit: "s", time)
      session.add(.preparation, "rows_per_core_second", key, unit: "rows/s", rate)
      cells.append([name, "\(count)", Figure.spread(time, Figure.short), Figure.spread(rate)])
    }
    print(
      TextTable(
        [.left("log"), .right("rows"), .right("core seconds"), .right("rows per core second")],
        cells))
  }

  private static func countLines(_ log: Logs.Log) throws -> Int {
    try [log.train, log.valid, log.test].reduce(0) { sum, path in
      sum + (try Files.read(path)).count { $0 == UInt8(ascii: "\n") }
    }
  }
}
