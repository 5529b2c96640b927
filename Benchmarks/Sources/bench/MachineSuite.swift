import Measuring
import Peaks

/// What the machine itself can do, on one core: the roof over every kernel.
enum MachineSuite {
  /// Where the rows of a table come from.
  enum Residence: String, CaseIterable {
    /// A table of 1 MiB: that of a small log, in the second or third cache.
    case cached
    /// A table far larger than all caches.
    case memory

    func tableBytes(_ session: Session) -> Int {
      switch self {
      case .cached: 1 << 20
      case .memory: session.options.isQuick ? 256 << 20 : 1 << 30
      }
    }
  }

  static let rowSizes = [64, 128, 256, 512]

  static func run(_ session: Session) {
    stream(session)
    arithmetic(session)
    for residence in Residence.allCases {
      for size in rowSizes { randomRows(session, size, residence) }
    }
    printTable(session)
  }

  /// The peaks, measured now if they were not.
  static func roofline(
    _ session: Session, rowBytes: Int, _ residence: Residence, updates: Bool
  ) -> Roofline? {
    if session.report.find("machine", "arithmetic") == nil { run(session) }
    let nearest = rowSizes.min { abs($0 - rowBytes) < abs($1 - rowBytes) } ?? rowSizes[0]
    let key = ["row_bytes": "\(nearest)", "residence": residence.rawValue]
    guard let arithmetic = session.report.find("machine", "arithmetic"),
      let bandwidth = session.report.find(
        "machine", updates ? "random_update" : "random_read", key)
    else { return nil }
    return Roofline(bandwidth: bandwidth.median, arithmetic: arithmetic.median)
  }

  private static func stream(_ session: Session) {
    let stream = StreamCopy(bytes: session.options.isQuick ? 128 << 20 : 512 << 20)
    let seconds = Rounds.measure(
      session.rounds,
      [
        { ProcessorClock.secondsPerCall(atLeast: 0.1, stream.copy) },
        { ProcessorClock.secondsPerCall(atLeast: 0.1, stream.copyThroughLibrary) },
      ])
    for (kind, time) in zip(["loop", "library"], seconds) {
      session.add(
        .machine, "stream_copy", ["kind": kind], unit: "B/s",
        time.map { Double(stream.bytes) / $0 })
    }
  }

  private static func arithmetic(_ session: Session) {
    let arithmetic = Arithmetic(rounds: 1 << 20)
    let seconds = Rounds.measure(
      session.rounds, [{ ProcessorClock.secondsPerCall(atLeast: 0.05, arithmetic.run) }])
    session.add(
      .machine, "arithmetic", unit: "FLOP/s",
      seconds[0].map { Double(arithmetic.operations) / $0 })
  }

  private static func randomRows(_ session: Session, _ rowBytes: Int, _ residence: Residence) {
    let bytes = residence.tableBytes(session)
    // Enough visits to go far beyond the caches, or many times around inside them.
    let visits = residence == .cached ? 1 << 16 : (64 << 20) / rowBytes
    let rows = RandomRows(rowBytes: rowBytes, tableBytes: bytes, visits: visits)
    let seconds = best(rows, rounds: session.rounds)
    let key = [
      "row_bytes": "\(rowBytes)", "residence": residence.rawValue, "table_bytes": "\(bytes)",
    ]
    session.add(
      .machine, "random_read", key, unit: "B/s", seconds.read.map { Double(rows.bytes) / $0 })
    session.add(
      .machine, "random_update", key, unit: "B/s",
      seconds.update.map { 2 * Double(rows.bytes) / $0 })
  }

  /// Seconds per call with the distance of prefetching that suits the machine best.
  static func best(_ rows: RandomRows, rounds: Int) -> (read: Summary, update: Summary) {
    var reads: [Summary] = []
    var updates: [Summary] = []
    for distance in RandomRows.distances {
      rows.distance = distance
      let seconds = Rounds.measure(
        rounds,
        [
          { ProcessorClock.secondsPerCall(atLeast: 0.02, rows.read) },
          { ProcessorClock.secondsPerCall(atLeast: 0.02, rows.update) },
        ])
      reads.append(seconds[0])
      updates.append(seconds[1])
    }
    func fastest(_ all: [Summary]) -> Summary {
      all.min { $0.median < $1.median } ?? all[0]
    }
    return (fastest(reads), fastest(updates))
  }

  private static func printTable(_ session: Session) {
    func giga(_ name: String, _ key: [String: String]) -> String {
      session.report.find("machine", name, key).map {
        Figure.spread($0) { Figure.short($0 / 1e9) }
      } ?? "–"
    }
    print("fused multiply-adds, one core: \(giga("arithmetic", [:])) GFLOP/s")
    print(
      "stream copy, read and written bytes: \(giga("stream_copy", ["kind": "loop"])) GB/s, "
        + "through the C library \(giga("stream_copy", ["kind": "library"])) GB/s")
    print("rows in random order, GB/s (an update counts bytes read and written)")
    var rows: [[String]] = []
    for size in rowSizes {
      var cells = ["\(size) B"]
      for residence in Residence.allCases {
        let key = ["row_bytes": "\(size)", "residence": residence.rawValue]
        cells += [giga("random_read", key), giga("random_update", key)]
      }
      rows.append(cells)
    }
    print(
      TextTable(
        [
          .right("row"), .right("read, cached"), .right("update, cached"),
          .right("read, memory"), .right("update, memory"),
        ], rows))
  }
}
