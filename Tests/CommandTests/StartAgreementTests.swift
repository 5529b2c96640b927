import Fabric
import Foundation
import Storage
import TestSupport
import Testing

/// Ranks that were not started alike are refused before they compute anything.
extension RankSuites {
  @Suite struct StartAgreementTests {
    static let host = hostName()
    private let program = inverse

    /// Runs the program without ranks.
    private func alone(_ arguments: [String]) throws -> RunningProcess.Outcome {
      try runProcess(program, arguments)
    }

    /// Runs one rank for each program and its arguments.
    static func run(
      _ programs: [(executable: String, arguments: [String])]
    ) throws -> RunningProcess.Outcome {
      try runProcess(
        "mpirun", RankLauncher.mpirunArguments(programs: programs),
        environment: RankLauncher.mpirunEnvironment.merging(patience) { $1 }, deadline: 30)
    }

    @Test func anotherProgramIsRefused() throws {
      try Workspace.with { workspace in
        let other = "\(workspace.path)/inverse"
        // A program of this format does not mind what follows it.
        try write(try bytes(program) + [0], to: other)
        let isMade = unsafe chmod(other, 0o755) == 0
        #expect(isMade)
        let arguments = workspace.training("run")
        try Self.run([
          (program, arguments), (program, arguments), (other, arguments),
        ]).expectFailure(
          .usage,
          "rank 2 on \(Self.host) runs another program file than rank 0 on \(Self.host): "
            + "install the same build on all hosts")
        #expect(!exists(workspace.target("run").path))
      }
    }

    @Test(arguments: [
      (["--seed", "5"], "--seed 5 where", "has --seed 1:"),
      (["--tables", "sharded"], "--tables sharded where", "has --tables replicated:"),
      (["--resume"], "--resume true where", "has --resume false:"),
      (["--stall-timeout", "7"], "--stall-timeout 7 where", "has --stall-timeout 300:"),
      (["--backbone", "mlp"], "--backbone mlp where", "has --backbone gmf:"),
      (["--method", "bce", "--epochs", "9"], "--epochs 9 where", "has --epochs 3:"),
    ])
    func otherOptionsAreRefused(more: [String], theirs: String, first: String) throws {
      try Workspace.with { workspace in
        let arguments = workspace.training("run")
        let outcome = try Self.run([
          (program, arguments), (program, arguments + more),
        ])
        outcome.expectFailure(
          .usage, "rank 1 on \(Self.host) has \(theirs) rank 0 on \(Self.host) \(first)")
        #expect(!exists(workspace.target("run").path))
      }
    }

    @Test func anotherDatasetIsRefused() throws {
      try Workspace.with { workspace in
        try workspace.prepare(as: "other", ["--positive-from", "2"]).success()
        let arguments = workspace.training("run")
        let other = arguments.map { $0 == workspace.data ? "\(workspace.path)/other" : $0 }
        try Self.run([(program, arguments), (program, other)])
          .expectFailure(
            .data, "rank 1 on \(Self.host) has another dataset than rank 0 on \(Self.host)",
            "copy the same dataset to all hosts")
        // The same content may lie elsewhere.
        try workspace.prepare(as: "copy").success()
        let copy = arguments.map { $0 == workspace.data ? "\(workspace.path)/copy" : $0 }
        try Self.run([(program, arguments), (program, copy)]).success()
      }
    }

    @Test func evaluationsAreCompared() throws {
      try Workspace.with { workspace in
        try alone(workspace.training("run")).success()
        let arguments = ["evaluate", workspace.target("run").path]
        try Self.run([
          (program, arguments), (program, arguments + ["--top-k", "3"]),
        ]).expectFailure(.usage, "has --top-k 3 where", "has --top-k 10")
        try Self.run([
          (program, arguments), (program, workspace.training("new")),
        ]).expectFailure(.usage, "has the command train where", "has the command evaluate")
        try Self.run([(program, arguments), (program, arguments)])
          .success()
      }
    }
  }
}
