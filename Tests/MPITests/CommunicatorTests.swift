import Foundation
import TestSupport
import Testing

/// The program that the tests start under mpirun.
let rankChecks = RankLauncher.executable("RankChecks")

@Suite(.serialized) struct CommunicatorTests {
  /// `limit` is the largest count given to MPI: the small ones force every transfer to be split, and
  /// on rank 0, whose offsets are small, not in the same way as on the others.
  @Test(arguments: [
    (1, "behaviour", "2147483647"), (2, "behaviour", "2147483647"), (3, "behaviour", "2147483647"),
    (4, "behaviour", "2147483647"), (1, "behaviour", "7"), (2, "behaviour", "1"),
    (3, "behaviour", "7"), (4, "behaviour", "1003"), (3, "behaviour-unverified", "2147483647"),
    (2, "behaviour-unverified", "7"), (4, "behaviour-unverified", "64"),
  ])
  func behavesLikeAProcessGroup(ranks: Int, check: String, limit: String) throws {
    try withTemporaryDirectory { directory in
      let outcome = try RankLauncher.mpirun(
        ranks: ranks, executable: rankChecks, arguments: [check, directory, limit])
      #expect(outcome.status == 0, "\(outcome.standardError)")
      #expect(lines(of: outcome.standardOutput).count { $0 == "all held" } == ranks)
      #expect(!outcome.timedOut)
    }
  }

  /// Each way around the largest count is taken by some rank, with and without verification.
  @Test(arguments: ["behaviour", "behaviour-unverified"])
  func everyTransferIsSplitSomewhere(check: String) throws {
    try withTemporaryDirectory { directory in
      let outcome = try RankLauncher.mpirun(
        ranks: 3, executable: rankChecks, arguments: [check, directory, "7", "1"])
      #expect(outcome.status == 0, "\(outcome.standardError)")
      let split = Set(
        lines(of: outcome.standardOutput).filter { $0.hasPrefix("splits ") }
          .flatMap { $0.dropFirst("splits ".count).split(separator: ",") })
      var all: Set<Substring> = [
        "sends", "receives", "gathers", "broadcasts", "floatSums", "doubleSums", "integerSums",
        "maxima", "writes", "reads", "routes",
      ]
      if check == "behaviour" { all.insert("verifications") }
      #expect(split == all)
    }
  }

  /// Ranks of one machine that make believe they are on several.
  @Test(arguments: [
    (2, "behaviour", 1), (4, "behaviour", 2), (3, "behaviour-unverified", 2),
    (4, "behaviour-unverified", 1), (3, "behaviour", 0),
  ])
  func behavesLikeAProcessGroupOnPretendedMachines(
    ranks: Int, check: String, ranksPerMachine: Int
  ) throws {
    try withTemporaryDirectory { directory in
      let outcome = try RankLauncher.mpirun(
        ranks: ranks, executable: rankChecks,
        // A rank that is late for some milliseconds is none that hangs.
        arguments: [check, directory, "2147483647", "\(ranksPerMachine)", "30"])
      #expect(outcome.status == 0, "\(outcome.standardError)")
      #expect(lines(of: outcome.standardOutput).count { $0 == "all held" } == ranks)
    }
  }

  /// The same with the library's own limit instead of a small one.
  @Test(
    .enabled(
      if: ProcessInfo.processInfo.environment["INVERSE_LARGE_TESTS"] != nil,
      "needs 12 GB of memory and a minute; set INVERSE_LARGE_TESTS to run it"))
  func partsBeyond32BitsArrive() throws {
    let outcome = try RankLauncher.mpirun(
      ranks: 2, executable: rankChecks, arguments: ["large", "-"], deadline: 300)
    #expect(outcome.status == 0, "\(outcome.standardError)")
    #expect(lines(of: outcome.standardOutput) == ["large parts held", "large parts held"])
  }

  @Test func aSingleRankNeedsNoLauncher() throws {
    try withTemporaryDirectory { directory in
      let outcome = try runProcess(rankChecks, ["behaviour", directory])
      #expect(outcome.status == 0, "\(outcome.standardError)")
      #expect(outcome.standardOutput == "splits \nall held\n")
    }
  }

  /// Open MPI 4.1 reports success for a write that the operating system refused; only the count of
  /// bytes tells.
  @Test func aFullDiskIsAnError() throws {
    try withTemporaryDirectory { directory in
      let outcome = try RankLauncher.mpirun(
        ranks: 2, executable: rankChecks, arguments: ["full", directory])
      #expect(outcome.status == 3)
      #expect(
        outcome.standardError.contains(
          "cannot write \(directory)/file on rank 1: nothing was written (File too large)"))
      #expect(!outcome.standardOutput.contains("written"))
    }
  }

  @Test(arguments: [
    (
      "mismatch",
      "ranks disagree: rank 0: call 1, barrier in phase start; rank 1: sum of 1 Double in phase "
        + "start"
    ),
    (
      "sizes",
      "ranks disagree: rank 0: exchange, sends 12 bytes to rank 1; "
        + "rank 1: exchange, expects 8 bytes from rank 0"
    ),
    (
      "parts",
      "ranks disagree: rank 0: call 1, gather of 3 bytes in phase start; rank 1: gather of 3 "
        + "bytes in phase start, divided differently"
    ),
  ])
  func ranksThatDisagreeAreNamed(check: String, message: String) throws {
    let outcome = try RankLauncher.mpirun(
      ranks: 2, executable: rankChecks, arguments: [check, "-"])
    #expect(outcome.status == 3)
    #expect(outcome.standardError.contains(message), "\(outcome.standardError)")
  }
}

func lines(of text: String) -> [Substring] {
  text.split(separator: "\n")
}
