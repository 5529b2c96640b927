internal import CMPI
internal import Fabric
internal import Foundation

/// Runs `body` on every rank between initialisation and finalisation of MPI: the only way in.
///
/// Finalisation is collective: a rank that fails must not enter it while the others wait in another
/// collective. So an error, on whichever rank, ends the whole job instead: one line on the standard
/// error stream, then `MPI_Abort`. The calling thread is the only one that may use the group, and
/// only inside `body`.
///
/// - Parameters:
///   - maximumCount: The most elements one call into the library may move; larger transfers are
///     split. Smaller values are for tests.
///   - verifiesCalls: Whether every collective first compares the ranks' calls, at the cost of
///     one small message; the same on all ranks.
///   - ranksPerMachine: The most ranks of a machine that share memory; the others count as another
///     machine. For tests and diagnosis; `nil` for what is there.
///   - watch: How ranks that wait for each other in vain are noticed; `nil` for not at all. The same
///     on all ranks.
///   - body: Gets the ranks of the job.
///   - onError: The line to print and the exit code of the job, for an error that `body` threw on
///     rank `rank` of machine `host`, or for a `LauncherMismatch` or `MPIError` before it ran.
/// - Returns: What `body` returned.
/// - Throws: `MPIError` when MPI cannot be initialised or finalised.
package func withMPI<Result>(
  maximumCount: Int = Int(Int32.max), verifiesCalls: Bool = verifiesCallsByDefault,
  ranksPerMachine: Int? = nil, watch: StallWatch? = nil,
  _ body: (Communicator) throws -> Result,
  onError: (_ error: any Error, _ rank: Int, _ host: String) -> (line: String, code: Int32)
) throws(MPIError) -> Result {
  var provided: CInt = 0
  unsafe try check(
    "MPI_Init_thread", MPI_Init_thread(nil, nil, CInt(MPI_THREAD_FUNNELED), &provided))
  let result: Result
  var watchdog: Watchdog?
  do {
    unsafe try check(
      "MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN))
    unsafe try check(
      "MPI_File_set_errhandler", MPI_File_set_errhandler(MPI_FILE_NULL, MPI_ERRORS_RETURN))
    guard provided >= CInt(MPI_THREAD_FUNNELED) else {
      throw LauncherMismatch(
        description: "this MPI library does not support programs with threads: "
          + "it offers level \(provided), MPI_THREAD_FUNNELED is needed")
    }
    let world = try Communicator(
      maximumCount: maximumCount, verifiesCalls: verifiesCalls, ranksPerMachine: ranksPerMachine)
    if let reason = Launcher.disagreement(
      environment: ProcessInfo.processInfo.environment, worldSize: world.size)
    {
      throw LauncherMismatch(description: reason)
    }
    if let watch { try world.startWatchdog(watch) }
    watchdog = world.watchdog
    result = try body(world)
    // Freeing is collective; only here is it certain that all ranks come by.
    for route in world.routes { try route.close() }
    for memory in world.memories { try memory.close() }
    // What was not compared since the last step is compared here.
    unsafe try world.maximum(UnsafeMutableBufferPointer(start: nil, count: 0))
    watchdog?.stop()
  } catch {
    if let watchdog {
      watchdog.noteFailure()
      // What the library refuses may come of ranks that call different things: which, the
      // watchdogs can tell.
      if error is MPIError { Thread.sleep(forTimeInterval: Watchdog.timeToCompare) }
    }
    var rank: CInt = 0
    unsafe MPI_Comm_rank(MPI_COMM_WORLD, &rank)
    let (line, code) = onError(error, Int(rank), hostName())
    endJob(line, code)
  }
  try check("MPI_Finalize", MPI_Finalize())
  return result
}

/// Whether ``withMPI(maximumCount:verifiesCalls:ranksPerMachine:watch:_:onError:)`` compares each
/// call before it is made when not told: in debug builds.
package var verifiesCallsByDefault: Bool {
  #if DEBUG
    true
  #else
    false
  #endif
}

/// Prints one line and ends all ranks of the job with `code`, or 1 if that is 0.
func endJob(_ line: String, _ code: Int32) -> Never {
  writeToStandardError(line: line)
  let code = code == 0 ? 1 : code
  unsafe MPI_Abort(MPI_COMM_WORLD, code)
  // Not reached: MPI_Abort does not return. The compiler cannot know.
  exit(code)
}
