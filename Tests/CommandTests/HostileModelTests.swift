import Foundation
import Storage
import TestSupport
import Testing

/// Models from somebody who wishes ill and writes the right checksums: whatever reads models
/// refuses them with a line, in little memory.
extension RankSuites {
  @Suite struct HostileModelTests {
    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      /// What the program says.
      var reason: String
      /// Changes a model of 300 users and 200 items with 8 factors.
      var file: @Sendable (TensorText) throws -> [UInt8]

      init(
        _ name: String, _ reason: String, _ file: @escaping @Sendable (TensorText) throws -> [UInt8]
      ) {
        (testDescription, self.reason, self.file) = (name, reason, file)
      }

      /// One part of the header is replaced.
      static func header(_ name: String, _ reason: String, _ part: String, _ other: String) -> Case
      {
        Case(name, reason) { try $0.replacing(part, with: other).file() }
      }
    }

    static let users =
      #""user.factors":{"dtype":"F32","shape":[300,8],"data_offsets":[6436,16036]}"#
    static let cases: [Case] = [
      Case("a header of 2⁶⁴ − 1 bytes", "longer than 4194304") { $0.file(length: .max) },
      Case("a header of 2⁶³ bytes", "longer than 4194304") { $0.file(length: 1 << 63) },
      Case("a header of 4 MiB", "does not fit a file of") { $0.file(length: 4 << 20) },
      Case("a header of 5 MiB that is there", "longer than 4194304") {
        var text = $0
        text.header += String(repeating: " ", count: 5 << 20)
        return text.file()
      },
      Case("a deep header", "is not valid: no {") {
        var text = $0
        text.header = "{\"a\":" + String(repeating: "[", count: 4_000_000)
        return text.file()
      },
      .header("decreasing offsets", "two rising data_offsets", "[6436,16036]", "[16036,6436]"),
      .header("overlap", "starts at byte 6432 of the data", "[6436,16036]", "[6432,16036]"),
      .header("hole", "starts at byte 6440 of the data", "[6436,16036]", "[6440,16036]"),
      .header("out of range", "cannot have", "16036]", "9223372036854775807]"),
      .header("beyond 2⁶³", "beyond 2^63 - 1", "16036]", "9223372036854775808]"),
      .header("a shape of 2⁶³", "beyond 2^63 - 1", "[300,8]", "[9223372036854775808,8]"),
      .header("a product beyond 2⁶³", "cannot have", "[300,8]", "[4611686018427387904,8]"),
      .header("a product of 2⁶⁴ + 2400", "cannot have", "[300,8]", "[2305843009213694252,8]"),
      .header("an empty tensor", "cannot have", "[300,8]", "[0,8]"),
      .header("no dimensions", "cannot have", "[300,8]", "[]"),
      .header("another shape", "has shape (8, 300), expected (300, 8)", "[300,8]", "[8,300]"),
      .header("one dimension", "has shape (2400), expected (300, 8)", "[300,8]", "[2400]"),
      .header(
        "another type", "has dtype U32, expected F32", #""F32","shape":[300"#,
        #""U32","shape":[300"#),
      .header("a wide type", "cannot have", #""F32","shape":[300"#, #""F64","shape":[300"#),
      .header(
        "an unknown type", "has dtype BF16; known are", #""F32","shape":[300"#,
        #""BF16","shape":[300"#),
      .header("a duplicate name", "occurs twice", "\"item.factors\"", "\"user.factors\""),
      .header("a missing tensor", "has no tensor user.factors", "\"user.factors\"", "\"x\""),
      .header("a name of two lines", "tensor x y lacks", users, #""x\ny":{}"#),
      .header("metadata of numbers", "no \"", "\"version\":\"1\"", "\"version\":1"),
      .header("metadata as a list", "no {", "{\"backbone\"", "[\"backbone\""),
      Case("trailing bytes", "but the file holds") {
        var text = $0
        text.data += [0]
        return text.file()
      },
      Case("missing bytes", "but the file holds") {
        var text = $0
        text.data.removeLast()
        return text.file()
      },
      Case("invalid UTF-8", "not UTF-8") {
        var file = $0.file()
        // The last byte of the first name after the metadata.
        let place = try #require(file.firstRange(of: Array("item.factors".utf8)))
        file[place.upperBound - 1] = 0xFF
        return file
      },
    ]

    /// Gives `body` runs of both families, with a checkpoint of GMF's epochs.
    private func withRuns(_ body: (Workspace) throws -> Void) throws {
      try Workspace.with(shards: 4) { workspace in
        for backbone in ["gmf", "mlp"] {
          try run(
            workspace.training(
              backbone,
              ["--backbone", backbone, "--factors", "8", "--method", "bce", "--keep", "1"])
          ).success()
        }
        try body(workspace)
      }
    }

    private func model(_ path: String) throws -> TensorText {
      let text = TensorText(try bytes("\(path)/model.safetensors"))
      try #require(text.header.contains(Self.users), "\(text.header)")
      return text
    }

    /// By evaluate, by train --initialize-from and by train --resume.
    @Test func modelsFromElsewhereAreRefused() throws {
      try withRuns { workspace in
        let target = workspace.target("gmf")
        let newest = try #require(try target.steps.last)
        let (best, step) = (target.best, "\(target.checkpoints)/\(newest)")
        let model = try model(best)
        try FileManager.default.removeItem(atPath: "\(target.path)/result.json")
        for item in Self.cases {
          let file = try item.file(model)
          for path in [best, step] {
            try SealedCheckpoint(path: path).replace("model.safetensors", with: file)
          }
          let joining = workspace.training(
            "joined",
            [
              "--backbone", "neumf", "--factors", "8", "--initialize-from",
              "\(target.path),\(workspace.target("mlp").path)",
            ])
          for arguments in [["evaluate", target.path], joining] {
            let outcome = try run(arguments)
            outcome.expectFailure(.data)
            expectLines(outcome, item)
          }
          let resumed = try run(
            workspace.training(
              "gmf",
              ["--factors", "8", "--method", "bce", "--keep", "1", "--resume", "--epochs", "3"]))
          #expect([0, 65].contains(resumed.status), "\(item): \(resumed.standardError)")
          expectLines(resumed, item)
          if resumed.status == 0 {
            // Started over: put back what the next case expects.
            try FileManager.default.removeItem(atPath: "\(target.path)/result.json")
          }
        }
      }
    }

    /// The reason is there, and every line is short.
    private func expectLines(_ outcome: RunningProcess.Outcome, _ item: Case) {
      #expect(
        outcome.standardError.contains(item.reason), "\(item): \(outcome.standardError.prefix(999))"
      )
      for line in outcome.standardError.split(separator: "\n") {
        #expect(line.utf8.count < 1000)
        #expect(line.hasPrefix("inverse: error: ") || line.contains(" rank 0 "), "\(line)")
      }
    }

    /// Numbers that no training gives are still only numbers.
    @Test(arguments: [Float.nan, .infinity, -.greatestFiniteMagnitude, .leastNonzeroMagnitude])
    func everyNumberIsEvaluated(value: Float) throws {
      try withRuns { workspace in
        let target = workspace.target("gmf")
        var model = try model(target.best)
        for place in stride(from: 0, to: model.data.count, by: 4) {
          for offset in 0..<4 {
            model.data[place + offset] = UInt8(
              truncatingIfNeeded: value.bitPattern >> UInt32(8 * offset))
          }
        }
        try SealedCheckpoint(path: target.best).replace("model.safetensors", with: model.file())
        for more in [[], ["--protocol", "full"], ["--protocol", "sampled"]] {
          let outcome = try run(["evaluate", target.path] + more)
          #expect([0, 65, 70].contains(outcome.status), "\(outcome.standardError)")
        }
      }
    }
  }
}

/// The most that a hostile file may cost, measured on the whole process.
@Suite struct HostileMemoryTests {
  /// As many tensors as a header of the largest size can name, and one of the largest names.
  @Test func theLargestHeadersCostLittle() throws {
    try Workspace.with(shards: 4) { workspace in
      try run(workspace.training("run", ["--factors", "8"])).success()
      let target = workspace.target("run")
      let intact = try bytes("\(target.best)/model.safetensors")
      let ordinary = try peak(["evaluate", target.path], status: 0)
      var many = TensorText(intact)
      var members: [String] = []
      for index in 0..<70_000 {
        members.append(#""\#(index)":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#)
      }
      many.header = "{\(members.joined(separator: ","))}"
      many.data = []
      #expect(many.header.utf8.count <= 4 << 20)
      var long = TensorText(intact)
      long.header = "{\"\(String(repeating: "x", count: 4_000_000))\":{}}"
      for text in [many, long] {
        try SealedCheckpoint(path: target.best).replace("model.safetensors", with: text.file())
        let hostile = try peak(["evaluate", target.path], status: 65)
        // A tensor of 50 bytes of text takes a name, a shape, and places in two dictionaries.
        #expect(hostile - ordinary <= 64 << 20, "\((hostile - ordinary) >> 20) MiB")
      }
    }
  }

  private func peak(_ arguments: [String], status: Int32) throws -> Int {
    let outcome = try runProcess(
      RankLauncher.executable("RankChecks"), ["peak-memory", inverse] + arguments)
    #expect(outcome.status == status, "\(outcome.standardError.prefix(999))")
    let line = try #require(
      outcome.standardOutput.split(separator: "\n").last { $0.hasPrefix("peak ") })
    return try #require(Int(line.dropFirst("peak ".count)))
  }
}
