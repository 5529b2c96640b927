import Foundation
import Storage
import TestSupport
import Testing

/// The program under test, next to the tests.
let inverse = RankLauncher.executable("inverse")

/// The folder of real data, if there is one.
let realData = ProcessInfo.processInfo.environment["INVERSE_DATA"]

/// Suites that start MPI jobs, one test at a time: their ranks outnumber the processors.
@Suite(.serialized) enum RankSuites {}

/// More ranks than processors: a rank that waits must let the others work.
let patience: [String: String?] = ["OMPI_MCA_mpi_yield_when_idle": "1"]

/// Runs the program alone, or on `ranks` ranks under `mpirun`.
func run(
  _ arguments: [String], ranks: Int? = nil, environment: [String: String?] = [:],
  deadline: Double = 60
) throws -> RunningProcess.Outcome {
  guard let ranks else {
    return try runProcess(inverse, arguments, environment: environment, deadline: deadline)
  }
  return try RankLauncher.mpirun(
    ranks: ranks, executable: inverse, arguments: arguments,
    environment: patience.merging(environment) { $1 }, deadline: deadline)
}

extension RunningProcess.Outcome {
  /// The messages of the program's errors: one per line that starts as they do.
  var errors: [String] {
    standardError.split(separator: "\n").filter { $0.hasPrefix("inverse: error: ") }
      .map { String($0.dropFirst("inverse: error: ".count)) }
  }

  /// Expects an end with `kind` and exactly one error that contains all of `parts`.
  func expectFailure(
    _ kind: Failure.Kind, _ parts: String..., at location: SourceLocation = #_sourceLocation
  ) {
    #expect(!timedOut, sourceLocation: location)
    #expect(status == kind.rawValue, "\(standardError)", sourceLocation: location)
    #expect(errors.count == 1, "\(standardError)", sourceLocation: location)
    #expect(standardOutput.isEmpty, sourceLocation: location)
    for part in parts {
      #expect(
        errors.first?.contains(part) == true, "\(part) is not in: \(standardError)",
        sourceLocation: location)
    }
  }

  /// Expects an end without complaint and returns what was printed.
  @discardableResult
  func success(at location: SourceLocation = #_sourceLocation) throws -> String {
    try #require(status == 0, "\(standardError)", sourceLocation: location)
    #expect(errors.isEmpty, sourceLocation: location)
    return standardOutput
  }
}

/// Names in a directory, hidden ones too, sorted.
func names(in directory: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
}

func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

func bytes(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}

func text(_ path: String) throws -> String {
  try String(contentsOfFile: path, encoding: .utf8)
}

/// Writes a file and returns its path.
@discardableResult
func write(_ text: String, to path: String) throws -> String {
  try write(Array(text.utf8), to: path)
}

@discardableResult
func write(_ bytes: [UInt8], to path: String) throws -> String {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  return path
}

/// How a file gets damaged.
enum Damage: CaseIterable {
  case truncated, flipped

  /// Damages a file that is not empty: its last byte goes, or a bit in its middle turns.
  func apply(to path: String) throws {
    var content = try bytes(path)
    try #require(!content.isEmpty, "nothing to damage in \(path)")
    switch self {
    case .truncated: content.removeLast()
    case .flipped: content[content.count / 2] ^= 0x10
    }
    try write(content, to: path)
  }
}

/// A JSON object of a file or of a line.
func json(_ text: String) throws -> [String: Any] {
  try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

/// The text of a JSON object without some of its keys, the others in order.
func json(_ source: String, without keys: Set<String>) throws -> String {
  let rest = try json(source).filter { !keys.contains($0.key) }
  let data = try JSONSerialization.data(withJSONObject: rest, options: [.sortedKeys])
  return String(decoding: data, as: UTF8.self)
}
