import Foundation
import TestSupport
import Testing

/// The promise: the same bytes and figures for every number of ranks.
extension RankSuites {
  @Suite struct ParityTests {
    @Test(arguments: ["replicated", "sharded"])
    func anyNumberOfRanksLearnsTheSame(tables: String) throws {
      try Workspace.with { workspace in
        let options = ["--method", "ig", "--tables", tables, "--biases", "--checkpoint-every", "4"]
        try run(workspace.training("alone", options)).success()
        let expected = try workspace.target("alone").identity
        #expect(expected.count == 1 + 3)
        for ranks in [1, 2, 3, 4, 5, 7] {
          let name = "ranks-\(ranks)"
          try run(workspace.training(name, options), ranks: ranks).success()
          #expect(try workspace.target(name).identity == expected, "\(ranks) ranks")
          #expect(
            try bytes("\(workspace.target(name).best)/model.safetensors")
              == bytes("\(workspace.target("alone").best)/model.safetensors"))
          let environment = try json(text("\(workspace.target(name).path)/environment.json"))
          #expect(environment["ranks"] as? Int == ranks)
          #expect((environment["hosts"] as? [String])?.count == ranks)
        }
      }
    }

    /// A cut over the rows of all ranks, and pairs with decay.
    @Test(arguments: [
      ["--method", "t-ce", "--drop-steps", "5"],
      [
        "--method", "bpr", "--row-decay", "0.01", "--output-weights", "ones",
        "--initial-deviation", "0.1",
      ],
    ])
    func denoisingAndPairsLearnTheSame(options: [String]) throws {
      try Workspace.with { workspace in
        try run(workspace.training("alone", options)).success()
        let expected = try workspace.target("alone").identity
        for (ranks, tables) in [(3, "replicated"), (4, "sharded")] {
          let name = "ranks-\(ranks)"
          try run(workspace.training(name, options + ["--tables", tables]), ranks: ranks).success()
          #expect(try workspace.target(name).identity == expected, "\(ranks) ranks")
        }
      }
    }

    /// Every family beside GMF, whatever its scores read.
    @Test(arguments: ["mlp", "neumf", "lightgcn", "ngcf", "pinsage", "sasrec"])
    func everyBackboneLearnsTheSame(backbone: String) throws {
      try Workspace.with { workspace in
        let isOrdered = backbone == "sasrec"
        if isOrdered {
          try workspace.prepare(as: "ordered", shards: 8, ["--sequences"]).success()
        }
        let options = ["--backbone", backbone, "--factors", "8", "--method", "ig"]
        func training(_ name: String, _ more: [String]) -> [String] {
          let usual = workspace.training(name, options + more)
          return isOrdered
            ? usual.map { $0 == workspace.data ? "\(workspace.path)/ordered" : $0 } : usual
        }
        try run(training("alone", [])).success()
        let expected = try workspace.target("alone").identity
        for (ranks, tables) in [(2, "replicated"), (3, "replicated"), (4, "sharded")] {
          let name = "ranks-\(ranks)"
          try run(training(name, ["--tables", tables]), ranks: ranks).success()
          #expect(try workspace.target(name).identity == expected, "\(ranks) ranks")
        }
      }
    }

    /// Machines that ranks make believe: two ranks to each, one to each, and most on the first.
    @Test(arguments: ["bce", "ig"], ["replicated", "sharded"])
    func anyNumberOfMachinesLearnsTheSame(method: String, tables: String) throws {
      try Workspace.with { workspace in
        let options = ["--method", method, "--tables", tables, "--checkpoint-every", "4"]
        try run(workspace.training("alone", options)).success()
        let expected = try workspace.target("alone").identity
        for (ranks, ranksPerMachine) in [(3, 2), (4, 2), (3, 1), (4, 3), (7, 3)] {
          let name = "\(ranks)-\(ranksPerMachine)"
          try run(
            workspace.training(name, options), ranks: ranks,
            environment: ["INVERSE_RANKS_PER_MACHINE": "\(ranksPerMachine)"]
          ).success()
          #expect(try workspace.target(name).identity == expected, "\(name)")
        }
      }
    }

    /// Where the rows live changes nothing either, and the seed does.
    @Test func onlyWhatDecidesTheModelChangesIt() throws {
      try Workspace.with { workspace in
        func model(_ name: String, _ options: [String], ranks: Int? = nil) throws -> String {
          try run(workspace.training(name, options), ranks: ranks).success()
          return try workspace.target(name).modelSHA256
        }
        let plain = try model("plain", [])
        #expect(try model("sharded", ["--tables", "sharded"], ranks: 2) == plain)
        #expect(try model("kept", ["--keep", "1", "--checkpoint-every", "3"]) == plain)
        #expect(try model("seed", ["--seed", "2"]) != plain)
        #expect(try model("rate", ["--rate", "0.003"]) != plain)
      }
    }

    /// MovieLens 1M, two epochs of each method.
    @Test(
      .enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"),
      arguments: ["bce", "idl", "ig"])
    func movieLensLearnsTheSame(method: String) throws {
      let source = try #require(realData) + "/ml-1m"
      try withTemporaryDirectory { path in
        try run([
          "prepare", "\(path)/data", "--train", "\(source)/train.tsv", "--valid",
          "\(source)/valid.tsv", "--test", "\(source)/test.tsv",
        ]).success()
        var identities: Set<[String]> = []
        for tables in ["replicated", "sharded"] {
          for ranks in [1, 2, 3, 4] {
            let target = Run(path: "\(path)/\(tables)-\(ranks)")
            try run(
              [
                "train", "\(path)/data", "--output", target.path, "--method", method, "--factors",
                "32", "--batch", "8192", "--epochs", "2", "--tables", tables,
              ], ranks: ranks
            ).success()
            identities.insert(try target.identity)
          }
        }
        #expect(identities.count == 1)
      }
    }
  }
}
