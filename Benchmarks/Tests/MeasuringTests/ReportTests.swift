import Foundation
import Measuring
import Storage
import Testing

@Suite struct ReportTests {
  private let machine = MachineDescription(
    processor: "p", cores: 2, caches: ["L1 Data: 32K"], memoryBytes: 1 << 34, hugePages: "madvise",
    operatingSystem: "o", compiler: "c", mpi: "m", commit: "abc")

  private func report(_ measurements: [Measuring.Measurement] = []) -> Report {
    var report = Report(date: "2026-01-02T03:04:05Z", machine: machine, quick: true, dataset: "d")
    report.measurements = measurements
    return report
  }

  private func withPath(_ body: (String) throws -> Void) throws {
    let path = "\(NSTemporaryDirectory())/report-\(UUID().uuidString).json"
    defer { try? Files.remove(path) }
    try body(path)
  }

  @Test func readsWhatItWrote() throws {
    var written = report([
      Measurement("training", "rate", ["f": "8"], unit: "rows/s", Summary([1, 2, 3]))
    ])
    written.skipped = [Skipped("tables", "100 M rows", reason: "memory")]
    written.reach = Reach.rows(of: written)
    try withPath { path in
      try written.write(path)
      #expect(try Report.read(path) == written)
    }
  }

  @Test func refusesNewerVersionsAndOtherFiles() throws {
    try withPath { path in
      try Files.replace(path, with: Array("{\"version\": 99}".utf8))
      #expect {
        try Report.read(path)
      } throws: { error in
        (error as? Failure)?.kind == .data && "\(error)".contains("version 99 is newer")
      }
      try Files.replace(path, with: Array("[]".utf8))
      #expect {
        try Report.read(path)
      } throws: { error in
        (error as? Failure)?.kind == .data && "\(error)".contains("not a report")
      }
    }
  }

  @Test func refusesFiguresThatJSONCannotHold() throws {
    let broken = report([Measurement("s", "n", unit: "", Summary([.nan]))])
    try withPath { path in
      #expect {
        try broken.write(path)
      } throws: { ($0 as? Failure)?.kind == .software }
      #expect(Files.size(of: path) == nil)
    }
  }

  @Test func findsByParametersAndLeavesOthersFree() {
    let summary = Summary([7])
    let found = report([
      Measurement("s", "n", ["a": "1", "b": "1"], unit: "", Summary([1])),
      Measurement("s", "n", ["a": "2", "b": "1"], unit: "", summary),
    ])
    #expect(found.find("s", "n", ["a": "2"]) == summary)
    #expect(found.find("s", "n", ["a": "3"]) == nil)
    #expect(found.find("other", "n") == nil)
    #expect(found.all("s", "n", ["b": "1"]).count == 2)
  }

  @Test func reachJudgesBothDirectionsAndSaysWhatIsMissing() throws {
    let rows = Reach.rows(
      of: report([
        Measurement(
          "training", "rows_per_second", ["method": "bce", "factors": "32", "batch": "8192"],
          unit: "rows/s", Summary([11e6])),
        Measurement(
          "training", "rows_per_second", ["method": "ig", "factors": "32", "batch": "8192"],
          unit: "rows/s", Summary([3.9e6])),
        Measurement("training", "schedule_seconds", unit: "s", Summary([0.4])),
        Measurement("memory", "share_of_bound", ["log": "a"], unit: "%", Summary([90])),
        Measurement("memory", "share_of_bound", ["log": "b"], unit: "%", Summary([101])),
      ]))
    func row(_ start: String) -> ReachRow? {
      rows.first { $0.work.hasPrefix(start) && $0.measured != "–" }
    }
    #expect(row("bce, GMF")?.verdict == .ok)
    #expect(row("ig, one")?.verdict == .short)
    #expect(row("10 epochs")?.verdict == .ok)
    // The worst of several cases decides.
    #expect(row("peak memory")?.verdict == .short)
    #expect(row("peak memory")?.measured == "101 %")
    let missing = rows.filter { $0.verdict == ReachRow.Verdict.notMeasured }
    #expect(missing.count == rows.count - 4)
  }
}
