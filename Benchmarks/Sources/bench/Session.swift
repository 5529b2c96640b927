import Foundation
import Measuring
import Storage

/// One run of the benchmarks: its options, what it measured so far, and its scratch space.
final class Session {
  struct Options {
    var isQuick: Bool
    var output: String
    var inverse: String
    var data: String?
    /// The working copy whose commit is reported.
    var source: String
    var python: String?
    var libmf: String?
  }

  let options: Options
  var report: Report
  private(set) lazy var logs = Logs(self)
  /// For datasets and runs; removed at the end.
  let scratch: String
  private var runs = 0

  init(_ options: Options) throws {
    self.options = options
    try Files.createDirectory(options.output)
    scratch = "\(options.output)/scratch-\(ProcessInfo.processInfo.processIdentifier)"
    try Files.createDirectory(scratch)
    report = Report(
      date: ISO8601DateFormatter().string(from: Date()),
      machine: .current(source: options.source, firstLine: ChildProcess.firstLine),
      quick: options.isQuick, dataset: Logs.describe(options.data))
  }

  /// Rounds of interleaved repetition.
  var rounds: Int { options.isQuick ? 3 : 5 }

  func printHead() {
    let rows = report.machine.lines.map { [$0.0, $0.1] } + [["log", report.dataset]]
    print(TextTable([.left("inverse"), .left(report.date)], rows))
  }

  /// Runs a suite. What fails is reported and does not keep the others from running.
  func run(_ suite: SuiteName) {
    print("\n\(suite.rawValue)")
    let start = ContinuousClock.now
    do {
      switch suite {
      case .memory: try MemorySuite.run(self)
      case .preparation: try PreparationSuite.run(self)
      case .training: try TrainingSuite.run(self)
      case .phases: try PhaseSuite.run(self)
      case .scaling: try ScalingSuite.run(self)
      case .order: try OrderSuite.run(self)
      case .machine: MachineSuite.run(self)
      case .kernels: try KernelSuite.run(self)
      case .evaluation: try EvaluationSuite.run(self)
      case .tables: TableSuite.run(self)
      case .peers: try PeerSuite.run(self)
      }
    } catch {
      skip(suite, "the suite", "\(error)")
    }
    print("\(suite.rawValue) took \(Figure.short((ContinuousClock.now - start) / .seconds(1))) s")
  }

  /// Prints the figures to reach, saves the report and draws the pictures.
  func finish() throws {
    report.reach = Reach.rows(of: report)
    print("\nreach")
    print(
      TextTable(
        [.left("work"), .right("wanted"), .right("measured"), .left("")],
        report.reach.map { [$0.work, $0.wanted, $0.measured, $0.verdict.rawValue] }))
    let path = "\(options.output)/benchmarks.json"
    try report.write(path)
    let pictures = try Pictures.draw(report, into: options.output)
    try Files.remove(scratch)
    print("\nwritten: \(path), \(pictures) pictures")
  }

  /// Adds a measurement to the report.
  func add(
    _ suite: SuiteName, _ name: String, _ parameters: [String: String] = [:], unit: String,
    _ value: Summary
  ) {
    report.measurements.append(
      Measurement(suite.rawValue, name, parameters, unit: unit, value))
  }

  /// Says, and saves, that something was not measured.
  func skip(_ suite: SuiteName, _ what: String, _ reason: String) {
    print("skipped: \(what): \(reason)")
    report.skipped.append(Skipped(suite.rawValue, what, reason: reason))
  }

  /// A path in the scratch space that was not used before.
  func freshPath(_ name: String) -> String {
    runs += 1
    return "\(scratch)/\(name)-\(runs)"
  }

  /// Runs `inverse` in one process.
  func inverse(_ arguments: [String]) throws(Failure) -> ProcessCost {
    try ChildProcess.run([options.inverse] + arguments)
  }
}
