import Foundation

/// Starts the programs of this package, alone or as ranks of an MPI job.
package enum RankLauncher {
  /// The path of another executable of this package, next to the running test.
  package static func executable(_ name: String) -> String {
    let runner = URL(fileURLWithPath: CommandLine.arguments[0])
    return runner.deletingLastPathComponent().appendingPathComponent(name).path
  }

  /// What `mpirun` needs to know besides the program: more ranks than processors are fine, ranks of
  /// jobs that run at the same time must not be tied to the same processor, and containers run
  /// tests as root.
  package static func mpirunArguments(
    ranks: Int, executable: String, arguments: [String]
  ) -> [String] {
    ["-n", "\(ranks)", "--oversubscribe", "--bind-to", "none", executable] + arguments
  }

  /// The arguments of `mpirun` for ranks that are started with different programs or arguments.
  package static func mpirunArguments(
    programs: [(executable: String, arguments: [String])]
  ) -> [String] {
    ["--oversubscribe", "--bind-to", "none"]
      + programs.map { ["-n", "1", $0.executable] + $0.arguments }.joined(separator: [":"])
  }

  package static let mpirunEnvironment: [String: String?] = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
  ]

  /// Starts `executable` as `ranks` ranks, in the background.
  ///
  /// - Throws: `POSIXError` when `mpirun` cannot be started.
  package static func startMPI(
    ranks: Int, executable: String, arguments: [String], environment: [String: String?] = [:]
  ) throws -> RunningProcess {
    try RunningProcess(
      "mpirun",
      mpirunArguments(ranks: ranks, executable: executable, arguments: arguments),
      environment: mpirunEnvironment.merging(environment) { $1 })
  }

  /// Runs `executable` as `ranks` ranks and waits for its end.
  ///
  /// - Throws: `POSIXError` when `mpirun` cannot be started.
  package static func mpirun(
    ranks: Int, executable: String, arguments: [String], environment: [String: String?] = [:],
    deadline: Double = 60
  ) throws -> RunningProcess.Outcome {
    try startMPI(
      ranks: ranks, executable: executable, arguments: arguments, environment: environment
    ).wait(deadline: deadline)
  }
}

/// Runs a program and waits for its end; it is killed, with what it started, at the deadline.
///
/// - Parameters:
///   - executable: The program, found along `PATH` unless it contains a slash.
///   - arguments: Without the name of the program.
///   - environment: Added to the environment of the test; `nil` removes a variable.
///   - deadline: Seconds.
/// - Returns: Its status and outputs.
/// - Throws: `POSIXError` when the program cannot be started.
package func runProcess(
  _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
  deadline: Double = 60
) throws -> RunningProcess.Outcome {
  try RunningProcess(executable, arguments, environment: environment).wait(deadline: deadline)
}

/// Gives `body` a new directory, and removes it afterwards.
///
/// - Throws: What `body` throws, or the error of creating the directory.
package func withTemporaryDirectory<T>(_ body: (String) throws -> T) throws -> T {
  let path = NSTemporaryDirectory() + "inverse-test-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try body(path)
}
