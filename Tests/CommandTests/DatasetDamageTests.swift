import Foundation
import Storage
import TestSupport
import Testing

/// A dataset that is not what prepare wrote is refused before a run directory appears.
extension RankSuites {
  @Suite struct DatasetDamageTests {
    static let columns = [
      "train.users", "train.items", "train.labels", "exposures.offsets", "exposures.items",
      "met.offsets", "met.items", "valid.users", "valid.items", "valid.labels", "test.users",
      "test.items", "test.labels",
    ]

    @Test(arguments: Damage.allCases)
    func everyFileOfAShardIsChecked(damage: Damage) throws {
      try Workspace.with(shards: 4) { workspace in
        let shard = "\(workspace.data)/shards/0001"
        #expect(try names(in: shard) == Self.columns.sorted())
        for column in Self.columns {
          let path = "\(shard)/\(column)"
          let intact = try bytes(path)
          try damage.apply(to: path)
          try run(workspace.training("run")).expectFailure(.data, path)
          #expect(try names(in: workspace.path) == ["data", "feed"])
          try write(intact, to: path)
        }
        try run(workspace.training("run")).success()
      }
    }

    /// Damage that one rank alone can see ends all of them, with one message.
    @Test(arguments: Damage.allCases)
    func damageThatOneRankSeesEndsTheJob(damage: Damage) throws {
      try Workspace.with(shards: 4) { workspace in
        let path = "\(workspace.data)/shards/0003/train.items"
        try damage.apply(to: path)
        let outcome = try run(workspace.training("run"), ranks: 2, deadline: 30)
        outcome.expectFailure(.data, "rank 1 on ", path)
        #expect(ProcessTree.processes(withArgument: workspace.target("run").path).isEmpty)
        #expect(try names(in: workspace.path) == ["data", "feed"])
      }
    }

    @Test func dictionariesAreChecked() throws {
      try Workspace.with(shards: 4) { workspace in
        try run(workspace.training("run")).success()
        let arguments = [
          "evaluate", workspace.target("run").path, "--truth", "\(workspace.feed)/truth.tsv",
        ]
        for name in ["users.offsets", "users.bytes", "items.offsets", "items.bytes"] {
          let path = "\(workspace.data)/identifiers/\(name)"
          let intact = try bytes(path)
          for damage in Damage.allCases {
            try damage.apply(to: path)
            try run(arguments).expectFailure(.data, path)
            try write(intact, to: path)
          }
        }
        try run(arguments).success()
      }
    }

    @Test func missingFilesAreNamed() throws {
      try Workspace.with(shards: 4) { workspace in
        let path = "\(workspace.data)/shards/0002/met.items"
        try FileManager.default.removeItem(atPath: path)
        try run(workspace.training("run"))
          .expectFailure(.data, "\(path) is missing; prepare the dataset again")
        try run(["train", workspace.feed, "--output", workspace.target("run").path])
          .expectFailure(.data, "\(workspace.feed) is not a dataset: dataset.json is missing")
        #expect(!exists(workspace.target("run").path))
      }
    }

    @Test(arguments: [
      ("\"version\" : 1", "\"version\" : 3", "format version 3 is newer"),
      ("inverse-dataset", "other-dataset", "the format is 'other-dataset'"),
      ("\"users\" : 300", "\"users\" : 301", "prepare the dataset again"),
      ("\"users\" : 300", "\"users\" : \"many\"", "'users' has the wrong type"),
      ("{", "", "not the description of a dataset"),
    ])
    func descriptionsAreChecked(part: String, replacement: String, message: String) throws {
      try Workspace.with(shards: 4) { workspace in
        let path = "\(workspace.data)/dataset.json"
        let intact = try text(path)
        let range = try #require(intact.range(of: part))
        try write(intact.replacingCharacters(in: range, with: replacement), to: path)
        try run(workspace.training("run")).expectFailure(.data, "\(path): ", message)
        try run(workspace.training("run"), ranks: 2).expectFailure(.data, "\(path): ", message)
        #expect(!exists(workspace.target("run").path))
      }
    }
  }
}
