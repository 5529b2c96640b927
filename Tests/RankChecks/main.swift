import Fabric
import Foundation
import MPI
import TestSupport

// What the tests start under mpirun: RankChecks <check> <parameter> [maximum count [ranks per
// machine [seconds to wait]]], where 0 ranks per machine are no limit. It ends with code 0 when the check holds on all ranks, and says on the standard error
// stream what did not. And without mpirun: RankChecks peak-memory <program> [argument]...

/// A check failed, or was asked to.
struct CheckFailure: Error, CustomStringConvertible {
  let description: String
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2 else {
  writeToStandardError(
    line: "usage: RankChecks <check> <parameter> [maximum count [ranks per machine [timeout]]]")
  exit(64)
}
if arguments[0] == "peak-memory" {
  exit(reportPeakMemory(of: arguments[1], Array(arguments.dropFirst(2))))
}
let ranksPerMachine = arguments.count > 3 ? Int(arguments[3]).flatMap { $0 > 0 ? $0 : nil } : nil
let watch =
  arguments.count > 4
  ? Double(arguments[4]).map {
    StallWatch(timeout: $0, stallCode: 4, mismatchCode: 5, linePrefix: "ended: ")
  } : nil
let unverified: Set = [
  "behaviour-unverified", "diverge", "different", "rounds", "slow", "late", "pauses",
]
do {
  try withMPI(
    maximumCount: arguments.count > 2 ? Int(arguments[2]) ?? 0 : Int(Int32.max),
    verifiesCalls: !unverified.contains(arguments[0]), ranksPerMachine: ranksPerMachine,
    watch: watch
  ) { world in
    try RankCheck(world: world, parameter: arguments[1], ranksPerMachine: ranksPerMachine)
      .run(arguments[0])
  } onError: { error, rank, host in
    ("rank \(rank) on \(host): \(error)", 3)
  }
} catch {
  writeToStandardError(line: "\(error)")
  exit(70)
}
