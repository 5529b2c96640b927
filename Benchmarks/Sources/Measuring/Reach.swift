/// One figure that the project wants to reach, beside what was measured.
package struct ReachRow: Codable, Equatable, Sendable {
  package enum Verdict: String, Codable, Sendable {
    case ok, short
    /// The suite did not run, was skipped or failed.
    case notMeasured = "not measured"
  }

  package let work: String
  package let wanted: String
  package let measured: String
  package let verdict: Verdict
}

/// The figures to reach, and whether a report reaches them.
package enum Reach {
  /// One row per figure, measured or not.
  ///
  /// Absolute figures are meant for one Zen 4 core; ratios hold on any machine.
  package static func rows(of report: Report) -> [ReachRow] {
    peers(report) + speed(report) + ranks(report) + memoryBound(report) + aroundSteps(report)
  }

  private static let gmf = ["factors": "32", "batch": "8192"]

  private static func peers(_ report: Report) -> [ReachRow] {
    [
      atLeast(
        20, "bce, GMF F 32, Adam, batch 8192, beside PyTorch", "×",
        report.find("peers", "ratio", ["peer": "pytorch", "method": "bce"])),
      atLeast(
        10, "ig, one unlabeled row per labeled, beside PyTorch", "×",
        report.find("peers", "ratio", ["peer": "pytorch", "method": "ig"])),
      atLeast(
        1, "bce with SGD, F 32, beside LIBMF, per update", "×",
        report.find("peers", "ratio", ["peer": "libmf"])),
    ]
  }

  private static func speed(_ report: Report) -> [ReachRow] {
    [
      atLeast(
        10e6, "bce, GMF F 32, Adam, batch 8192", "rows/s",
        report.find("training", "rows_per_second", gmf.with("method", "bce"))),
      atLeast(
        4e6, "ig, one unlabeled row per labeled", "labeled rows/s",
        report.find("training", "rows_per_second", gmf.with("method", "ig"))),
      atMost(
        0.4, "10 epochs of ig, 240,050 rows, inner share 0.1, whole process", "s",
        report.find("training", "schedule_seconds")),
    ]
  }

  private static func ranks(_ report: Report) -> [ReachRow] {
    let two = ["ranks": "2", "batch": "8192"]
    return [
      atLeast(
        1.8, "2 ranks beside 1, ig, batch 8192, F 32", "×",
        report.find("scaling", "strong_speedup", two.with("method", "ig"))),
      atLeast(
        1.7, "2 ranks beside 1, bce, batch 8192, F 32", "×",
        report.find("scaling", "strong_speedup", two.with("method", "bce"))),
      atMost(
        15, "price of ordered beside native, 2 ranks, bce", "%",
        report.find("order", "price", ["method": "bce"])),
      atMost(
        15, "price of ordered beside native, 2 ranks, ig", "%",
        report.find("order", "price", ["method": "ig"])),
    ]
  }

  private static func memoryBound(_ report: Report) -> [ReachRow] {
    [
      atLeast(
        60, "F 128, table far out of cache, of the random-row bandwidth", "%",
        report.find("tables", "bandwidth_share")),
      atMost(
        1.5, "cost per step, table of 100 M rows beside 1 M rows", "×",
        report.find("tables", "size_ratio", ["rows": "100000000"])),
      atMost(
        100, "peak memory, of 1.3 × (parameters, state, dictionaries) + 64 MiB", "%",
        largest(report.all("memory", "share_of_bound"))),
    ]
  }

  private static func aroundSteps(_ report: Report) -> [ReachRow] {
    [
      atMost(
        0.15, "full ranking 6,040 × 3,706, F 32, top 100", "s",
        report.find("evaluation", "seconds", ["work": "full ranking"])),
      atLeast(
        2e6, "prepare, tab-separated text, ml-1m, per core", "rows/s",
        report.find("preparation", "rows_per_core_second", ["log": "training data"])),
      atLeast(
        2e6, "prepare, tab-separated text, 5 M rows, per core", "rows/s",
        report.find("preparation", "rows_per_core_second", ["log": "simulated feed"])),
    ]
  }

  /// The worst case stands for all.
  private static func largest(_ measurements: [Measurement]) -> Summary? {
    measurements.map(\.value).max { $0.median < $1.median }
  }

  private static func atLeast(
    _ bound: Double, _ work: String, _ unit: String, _ value: Summary?
  ) -> ReachRow {
    row(work, "≥ \(Figure.scaled(bound)) \(unit)", unit, value) { $0 >= bound }
  }

  private static func atMost(
    _ bound: Double, _ work: String, _ unit: String, _ value: Summary?
  ) -> ReachRow {
    row(work, "≤ \(Figure.scaled(bound)) \(unit)", unit, value) { $0 <= bound }
  }

  private static func row(
    _ work: String, _ wanted: String, _ unit: String, _ value: Summary?,
    _ holds: (Double) -> Bool
  ) -> ReachRow {
    guard let value else {
      return ReachRow(work: work, wanted: wanted, measured: "–", verdict: .notMeasured)
    }
    return ReachRow(
      work: work, wanted: wanted, measured: "\(Figure.scaled(value.median)) \(unit)",
      verdict: holds(value.median) ? .ok : .short)
  }
}

extension [String: String] {
  fileprivate func with(_ key: String, _ value: String) -> [String: String] {
    merging([key: value]) { $1 }
  }
}
