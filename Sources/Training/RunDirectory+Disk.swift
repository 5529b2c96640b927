import Fabric
import Foundation
import Storage

extension RunDirectory {
  /// Ends a run whose directory is no longer there, in place of making another. A collective.
  ///
  /// - Throws: `Failure` of kind `inputOutput` on all ranks; what the group throws.
  func requirePresence(_ group: any ProcessGroup) throws {
    var isGone: [Int64] = [group.rank == 0 && isMissing ? 1 : 0]
    unsafe try isGone.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: 0) }
    guard isGone[0] == 1 else { return }
    throw Failure(
      .inputOutput,
      "\(path) was removed or moved while the run wrote into it: configuration.json is gone; put it "
        + "back and go on with --resume, or start again")
  }

  /// Whether the configuration is certainly not there: a disk that does not answer is no proof.
  private var isMissing: Bool {
    var status = stat()
    return unsafe stat(configurationPath, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)
  }

  /// Writes the result, trying again after each of some pauses.
  ///
  /// - Parameters:
  ///   - result: Of the run.
  ///   - pauses: Seconds.
  ///   - warn: Called with one line for each try that failed but the last.
  /// - Throws: `Failure` of kind `inputOutput`.
  func writeResult(
    _ result: TrainingResult, pauses: [Double], warn: (String) -> Void
  ) throws(Failure) {
    for pause in pauses {
      do {
        return try write(result, to: resultPath)
      } catch {
        warn("\(error.message); trying again in \(pause) s")
        Thread.sleep(forTimeInterval: pause)
      }
    }
    try write(result, to: resultPath)
  }
}
