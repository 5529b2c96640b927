import Fabric
import Foundation
import Kernels
import Logging
import MPI
import Storage
import Synchronization

/// What the environment says about this process as one of many.
enum LaunchEnvironment {
  /// Whether this process may speak for all: the first rank, or the only process.
  static var isFirstRank: Bool {
    let environment = ProcessInfo.processInfo.environment
    for variable in ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"] {
      if let rank = environment[variable] { return rank == "0" }
    }
    return true
  }

  /// Waits two seconds, except on the first rank, before an error is told.
  ///
  /// Most errors come to all ranks alike. The first rank tells its own and ends, and the launcher
  /// ends those that wait here with it: the error is told once. If they ended first, the launcher
  /// would end the first rank before it has said anything. An error of another rank alone is told
  /// that much later.
  static func letFirstRankSpeak() {
    if isFirstRank { return }
    signal(SIGTERM, SIG_DFL)
    Thread.sleep(forTimeInterval: 2)
  }

  /// The number of processes that were started as one job; 1 when no launcher says more.
  static var jobSize: Int {
    let environment = ProcessInfo.processInfo.environment
    var variables = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
    // Outside of a step it counts what srun would start, not what was started.
    if environment["SLURM_PROCID"] != nil { variables.append("SLURM_STEP_NUM_TASKS") }
    return variables.compactMap { environment[$0].flatMap { Int($0) } }.first ?? 1
  }

  /// The most ranks that may share memory, for diagnosis: the others of a machine are treated as
  /// if they were on another one. `nil` when `INVERSE_RANKS_PER_MACHINE` is not set.
  ///
  /// - Throws: `Failure` of kind usage.
  static func ranksPerMachine(
    in environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(Failure) -> Int? {
    guard let text = environment["INVERSE_RANKS_PER_MACHINE"] else { return nil }
    guard let count = Int32(text), count >= 1 else {
      throw .usage("INVERSE_RANKS_PER_MACHINE must be a number of ranks, at least 1, not '\(text)'")
    }
    return Int(count)
  }
}

/// Refuses to run as several processes a command that writes the same files in each.
///
/// - Throws: `Failure` of kind usage.
func requireSingleProcess(_ command: String) throws(Failure) {
  let size = LaunchEnvironment.jobSize
  guard size <= 1 else {
    throw .usage("\(command) is the work of one process, not of \(size): start it without mpirun")
  }
}

extension Failure {
  /// Any error as one line and an exit code.
  init(reporting error: any Error) {
    let kind: Kind =
      switch error {
      case let failure as Failure: failure.kind
      case is SharedFileError, is SharedMemoryError: .inputOutput
      case is LauncherMismatch: .usage
      default: .software
      }
    self.init(kind, "\(error)")
  }
}

/// Runs `body` on every rank of the job; alone, without any launcher, on one rank without MPI.
///
/// An error ends the job on all ranks, with one line that names rank, host and phase. A requested
/// stop (`Failure` of kind interrupted) is no error of the job: all ranks stop after the same step,
/// leave MPI in order, and exit with that code.
///
/// - Parameters:
///   - watch: How ranks that wait in vain are noticed.
///   - body: Gets the ranks.
/// - Throws: A requested stop; and on one rank whatever `body` threw.
func withRanks(watch: StallWatch?, _ body: (any ProcessGroup) throws -> Void) throws {
  MatrixProduct.useOneThread()
  let fault = try FaultInjection.parse()
  guard Launcher.isPresent(in: ProcessInfo.processInfo.environment) else {
    let alone = SoloGroup()
    fault?.install(on: alone)
    return try body(alone)
  }
  let ranksPerMachine = try LaunchEnvironment.ranksPerMachine()
  var stop: Failure?
  var phase = ""
  try withMPI(ranksPerMachine: ranksPerMachine, watch: watch) { world in
    fault?.install(on: world)
    do {
      try body(world)
    } catch let failure as Failure where failure.kind == .interrupted {
      stop = failure
    } catch {
      let activity = world.position.activity
      if activity != .start { phase = " in phase \(activity.name)" }
      throw error
    }
  } onError: { error, rank, host in
    LaunchEnvironment.letFirstRankSpeak()
    let failure = Failure(reporting: error)
    let line = "inverse: error: rank \(rank) on \(host)\(phase): \(failure.message)"
    return (line, failure.kind.rawValue)
  }
  if let stop { throw stop }
}

/// Asks the processes of a job to stop: set by SIGTERM, SIGINT and SIGUSR1, read after every step.
///
/// `mpirun` of Open MPI passes SIGUSR1 on to its ranks at once and waits for their end, whereas
/// SIGTERM makes it kill them.
enum StopRequest {
  private static let isSet = Atomic<Bool>(false)

  static var isPending: Bool { isSet.load(ordering: .relaxed) }

  /// From now on a scheduler's warning ends the run after the step, with a checkpoint.
  static func install() {
    // Made before a signal can come: a handler must not initialise anything.
    isSet.store(false, ordering: .relaxed)
    for number in [SIGTERM, SIGINT, SIGUSR1] {
      signal(number) { _ in StopRequest.isSet.store(true, ordering: .relaxed) }
    }
  }
}

/// Writes log lines to the standard error stream: time, rank, level, message.
struct RankLogHandler: LogHandler {
  let rank: Int
  var metadata = Logger.Metadata()
  var logLevel = Logger.Level.info

  init(rank: Int) { self.rank = rank }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var now = time(nil)
    var parts = unsafe tm()
    unsafe localtime_r(&now, &parts)
    let clock = unsafe String(format: "%02d:%02d:%02d", parts.tm_hour, parts.tm_min, parts.tm_sec)
    FileHandle.standardError.write(
      Data("\(clock) rank \(rank) \(event.level): \(event.message)\n".utf8))
  }
}
