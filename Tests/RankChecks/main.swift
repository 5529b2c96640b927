import Fabric
import Foundation
import MPI
import TestSupport

// What the tests start under mpirun: RankChecks <check> <parameter> [maximum count [ranks per
// machine]]. It ends with code 0 when the check holds on all ranks, and says on the standard error
// stream what did not. And without mpirun: RankChecks peak-memory <program> [argument]...

/// A check failed, or was asked to.
struct CheckFailure: Error, CustomStringConvertible {
  let description: String
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2 else {
  writeToStandardError(
    line: "usage: RankChecks <check> <parameter> [maximum count [ranks per machine]]")
  exit(64)
}
if arguments[0] == "peak-memory" {
  exit(reportPeakMemory(of: arguments[1], Array(arguments.dropFirst(2))))
}
let ranksPerMachine = arguments.count > 3 ? Int(arguments[3]) : nil
do {
  try withMPI(
    maximumCount: arguments.count > 2 ? Int(arguments[2]) ?? 0 : Int(Int32.max),
    verifiesCalls: arguments[0] != "behaviour-unverified", ranksPerMachine: ranksPerMachine
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
