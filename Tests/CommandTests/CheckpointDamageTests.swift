import Foundation
import Storage
import TestSupport
import Testing

/// A checkpoint that is not what train wrote is not used.
extension RankSuites {
  @Suite struct CheckpointDamageTests {
    /// A run of six epochs that has got to its third.
    static func interrupted<T>(_ body: (Workspace, _ arguments: [String]) throws -> T) throws -> T {
      try Workspace.with { workspace in
        try run(workspace.training("run")).success()
        try FileManager.default.removeItem(atPath: "\(workspace.target("run").path)/result.json")
        return try body(workspace, workspace.training("run", ["--epochs", "6", "--resume"]))
      }
    }

    @Test(arguments: ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
    func anOlderCheckpointIsUsed(file: String) throws {
      try Self.interrupted { workspace, arguments in
        let target = workspace.target("run")
        try run(workspace.training("whole", ["--epochs", "6"])).success()
        let newest = try #require(try target.steps.last)
        let older = try #require(try target.steps.dropLast().last)
        try Damage.flipped.apply(to: "\(target.checkpoints)/\(newest)/\(file)")
        let outcome = try run(arguments, ranks: file == "model.safetensors" ? 2 : nil)
        try outcome.success()
        let warnings = outcome.standardError.split(separator: "\n")
          .filter { $0.contains(" warning: ") }
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("checkpoint \(newest) refused: \(file)") == true)
        #expect(warnings.first?.hasSuffix("; using \(older)") == true)
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }

    /// Without any checkpoint left the run starts over, and says so.
    @Test func withNoneLeftTheRunStartsOver() throws {
      try Self.interrupted { workspace, arguments in
        let target = workspace.target("run")
        try run(workspace.training("whole", ["--epochs", "6"])).success()
        for step in try target.steps {
          try Damage.truncated.apply(to: "\(target.checkpoints)/\(step)/model.safetensors")
        }
        let outcome = try run(arguments)
        try outcome.success()
        #expect(outcome.standardError.contains("no other checkpoint is left"))
        #expect(outcome.standardError.contains("starting from the first step"))
        #expect(try target.identity == workspace.target("whole").identity)
      }
    }

    @Test(arguments: ["model.safetensors", "manifest.json"])
    func aDamagedBestModelIsNotEvaluated(file: String) throws {
      try Workspace.with { workspace in
        let target = workspace.target("run")
        try run(workspace.training("run")).success()
        for damage in Damage.allCases {
          try damage.apply(to: "\(target.best)/\(file)")
          for ranks in damage == .flipped ? [nil, 2] : [nil] {
            let outcome = try run(["evaluate", target.path], ranks: ranks)
            outcome.expectFailure(.data, "\(target.path) has no best model")
            #expect(outcome.standardError.contains("checkpoint best refused: \(file)"))
          }
        }
      }
    }

    @Test func aDamagedDescriptionOfARunIsNamed() throws {
      try Workspace.with { workspace in
        try run(workspace.training("run")).success()
        let path = "\(workspace.target("run").path)/configuration.json"
        try write(try text(path).replacing("\"training\"", with: "\"learning\""), to: path)
        try run(["evaluate", workspace.target("run").path])
          .expectFailure(.data, "\(path) is damaged or of another version")
      }
    }
  }
}
