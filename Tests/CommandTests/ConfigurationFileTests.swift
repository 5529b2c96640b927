import Foundation
import Storage
import TestSupport
import Testing

@Suite struct ConfigurationFileTests {
  /// Every option of train with a value that is not its default.
  static let training = [
    "method": "idl", "backbone": "gmf", "factors": "8", "biases": "true", "batch": "300",
    "epochs": "2", "patience": "1", "select": "gauc", "select-protocol": "sampled",
    "evaluate-every": "2", "report-test": "lists", "optimizer": "rowwise-adagrad",
    "rate": "0.015", "weight-decay": "1e-4", "row-decay": "1e-3", "unlabeled-per-labeled": "2",
    "drop-rate": "0.3", "drop-steps": "7", "reweight-power": "0.5", "output-weights": "ones",
    "initial-deviation": "0.2",
    "unlabeled-weight": "0.5", "unlabeled-source": "exposures", "inner-rate": "0.03",
    "inner-step": "gradient", "inner-share": "0.25", "tables": "sharded",
    "reduction": "native", "checkpoint-every": "2", "checkpoint-epochs": "2", "keep": "1",
    "checkpoint-required": "true", "on-nonfinite": "skip-step", "seed": "9", "resume": "true",
  ]

  /// Those that gmf has not, with a backbone that has.
  static let others = [
    "pinsage": ["layers": "1", "neighbours": "5", "walks": "20", "walk-length": "2"],
    "ngcf": ["layers": "2", "dropout": "0.3", "node-dropout": "0.2"],
  ]
  /// Those that need another dataset or other runs.
  static let elsewhere: Set = ["blocks", "heads", "sequence-length", "initialize-from"]

  static func yaml(_ options: [String: String]) -> String {
    options.sorted { $0.key < $1.key }.map { "\($0): \($1)\n" }.joined()
  }

  @Test func everyOptionOfTrainCanBeSet() throws {
    try Workspace.with { workspace in
      let target = workspace.target("run")
      let options = Self.training.merging([
        "output": target.path, "lists": try workspace.lists(), "stall-timeout": "60",
      ]) { $1 }
      #expect(
        try Help("train").settable
          == Set(options.keys).union(Self.others.values.flatMap(\.keys)).union(Self.elsewhere))
      let file = try write(Self.yaml(options), to: "\(workspace.path)/run.yaml")
      try run(["train", workspace.data, "--config", file]).success()
      let setup = try json(text("\(target.path)/configuration.json"))
      let written = try #require(setup["training"] as? [String: Any])
      for (name, value) in Self.training where name != "resume" {
        let words = name.split(separator: "-")
        let key = words[0] + words.dropFirst().map(\.capitalized).joined()
        let actual = try #require(written[String(key)], "\(key)")
        if let number = Double(value) {
          #expect((actual as? NSNumber)?.doubleValue == number, "\(name)")
        } else {
          #expect("\(actual)" == (value == "true" ? "1" : value) || actual as? Bool == true)
        }
      }
    }
  }

  @Test(arguments: others.keys.sorted())
  func everyOptionOfABackboneCanBeSet(backbone: String) throws {
    try Workspace.with { workspace in
      let target = workspace.target("run")
      let chosen = try #require(Self.others[backbone])
      let options = chosen.merging([
        "backbone": backbone, "output": target.path, "epochs": "1", "factors": "8",
      ]) { $1 }
      let file = try write(Self.yaml(options), to: "\(workspace.path)/run.yaml")
      try run(["train", workspace.data, "--config", file]).success()
      let setup = try json(text("\(target.path)/configuration.json"))
      let written = try #require(setup["training"] as? [String: Any])
      for (name, value) in chosen {
        let words = name.split(separator: "-")
        let key = words[0] + words.dropFirst().map(\.capitalized).joined()
        #expect((written[String(key)] as? NSNumber)?.doubleValue == Double(value), "\(name)")
      }
    }
  }

  @Test func everyOptionOfTheOthersCanBeSet() throws {
    try withTemporaryDirectory { path in
      let synthesis = [
        "preset": "feed", "users": "50", "items": "60", "interactions": "1500",
        "label-fraction": "0.4", "noise": "0.2", "seed": "5",
      ]
      #expect(try Help("synthesize").settable == Set(synthesis.keys))
      var file = try write(Self.yaml(synthesis), to: "\(path)/options.yaml")
      try run(["synthesize", "\(path)/feed", "--config", file]).success()
      let feed = try json(text("\(path)/feed/synthesize.json"))
      let written = try #require(feed["options"] as? [String: Any])
      for (key, value) in [
        ("users", 50), ("items", 60), ("interactions", 1500), ("labelFraction", 0.4),
        ("noise", 0.2), ("seed", 5),
      ] {
        #expect((written[key] as? NSNumber)?.doubleValue == value, "\(key)")
      }

      let rule = [
        "positive-from": "4", "label-fraction": "0.5", "thinned": "exposure", "shards": "4",
        "seed": "6", "format": "log", "unrated": "exposure", "sequences": "false",
        "allow-overlap": "false",
      ]
      let three = rule.merging([
        "train": "\(path)/feed/train.tsv", "valid": "\(path)/feed/valid.tsv",
        "test": "\(path)/feed/test.tsv",
      ]) { $1 }
      let one = rule.merging([
        "interactions": "\(path)/feed/train.tsv", "split": "[0.5, 0.25, 0.25]",
      ]) { $1 }
      #expect(try Help("prepare").settable == Set(three.keys).union(one.keys))
      for (name, options) in [("three", three), ("one", one)] {
        file = try write(Self.yaml(options), to: "\(path)/options.yaml")
        try run(["prepare", "\(path)/\(name)", "--config", file]).success()
        let dataset = try json(text("\(path)/\(name)/dataset.json"))
        #expect(dataset["shardCount"] as? Int == 4)
        let written = try #require(dataset["rule"] as? [String: Any])
        #expect(written["positiveFrom"] as? Double == 4)
        #expect(written["labelFraction"] as? Double == 0.5)
        #expect(written["thinned"] as? String == "exposure")
        #expect(written["seed"] as? Int == 6)
        #expect(written["fractions"] as? [Double] == (name == "one" ? [0.5, 0.25, 0.25] : nil))
      }

      try run([
        "train", "\(path)/three", "--output", "\(path)/run", "--epochs", "1",
      ]).success()
      try FileManager.default.moveItem(atPath: "\(path)/three", toPath: "\(path)/moved")
      let common = [
        "split": "valid", "top-k": "3,7", "dataset": "\(path)/moved", "json": "true",
        "stall-timeout": "60",
      ]
      let ranking = common.merging([
        "protocol": "full", "mask": "none", "masked-positives": "missed",
      ]) { $1 }
      let evaluation = common.merging([
        "protocol": "labeled", "truth": "\(path)/feed/truth.tsv",
      ]) { $1 }
      let sampled = common.merging([
        "protocol": "sampled", "mask": "none", "candidates": "5", "candidate-seed": "4",
      ]) { $1 }
      let lists = ["protocol": "lists", "lists": "lists"]
      #expect(
        try Help("evaluate").settable
          == Set([evaluation, ranking, sampled, lists].flatMap(\.keys)))
      file = try write(Self.yaml(ranking), to: "\(path)/options.yaml")
      let ranked = try json(try run(["evaluate", "\(path)/run", "--config", file]).success())
      #expect(ranked["protocol"] as? String == "full")
      #expect(ranked["mask"] as? String == "none")
      #expect((ranked["metrics"] as? [String: Any])?["recall@7"] as? Double != nil)
      file = try write(Self.yaml(sampled), to: "\(path)/options.yaml")
      let drawn = try json(try run(["evaluate", "\(path)/run", "--config", file]).success())
      #expect(drawn["candidates"] as? Int == 5 && drawn["candidate_seed"] as? Int == 4)
      file = try write(Self.yaml(evaluation), to: "\(path)/options.yaml")
      let output = try json(try run(["evaluate", "\(path)/run", "--config", file]).success())
      #expect(output["split"] as? String == "valid")
      let figures = try #require(output["ndcg"] as? [String: Any])
      #expect(Set(figures.keys) == ["ndcg@3", "ndcg@7"])
      #expect(output["annotation"] != nil)
    }
  }

  @Test func optionsOfTheCommandLineWin() throws {
    try Workspace.with { workspace in
      let file = try write(
        "batch: 300\nepochs: 2\nseed: 7\n", to: "\(workspace.path)/options.yaml")
      let target = workspace.target("run")
      try run([
        "train", "--seed=8", workspace.data, "--config", file, "--output", target.path,
        "--epochs", "1",
      ]).success()
      let setup = try json(text("\(target.path)/configuration.json"))
      let written = try #require(setup["training"] as? [String: Any])
      #expect(written["batch"] as? Int == 300)
      #expect(written["epochs"] as? Int == 1)
      #expect(written["seed"] as? Int == 8)
      #expect(try target.metrics.count == 1)
    }
  }

  /// A billion elements in eight lines.
  static let bomb =
    "a: &a [1]\n"
    + zip("bcdefgh", "abcdefg").map { name, before in
      "\(name): &\(name) [\(Array(repeating: "*\(before)", count: 20).joined(separator: ", "))]\n"
    }.joined()

  static let bad: [(yaml: String, parts: [String])] = [
    ("epochs: 2\nbatchs: 1\n", [":2: ", "unknown key 'batchs'; did you mean 'batch'?"]),
    ("learning-rate: 1\n", [":1: ", "unknown key 'learning-rate'"]),
    ("Method: bce\n", [":1: ", "unknown key 'Method'; did you mean 'method'?"]),
    ("config: x\n", [":1: ", "unknown key 'config'"]),
    ("epochs: 1\nmethod: [bce\n", [":3: ", "not YAML"]),
    ("\tepochs: 1\n", [":1: ", "not YAML"]),
    ("epochs: 1\nepochs: 2\n", [":", "given more than once: 'epochs'"]),
    ("- epochs\n- batch\n", ["expected lines of the form 'option: value'"]),
    ("just text\n", ["expected lines of the form 'option: value'"]),
    ("epochs: {a: 1}\n", [":1: ", "'epochs' must be one value"]),
    ("rate: 1\nepochs: abc\n", [":2: ", "'abc' is invalid for '--epochs <n>'"]),
    ("epochs: true\n", [":1: ", "'true' is invalid for '--epochs <n>'"]),
    ("epochs:\n", [":1: ", "'epochs' has no value"]),
    (
      "? a\(String(repeating: "b", count: 500_000))\n: 1\n",
      [":1: ", "unknown key 'abbb", "bbb…'"]
    ),
    ("\"a\\nb\": 1\n", [":1: ", "unknown key 'a b'"]),
    ("lists: \"a\\nb\"\n", [":1: ", "'lists' must be one line of at most 4096 bytes"]),
    ("lists: \(String(repeating: "x", count: 4097))\n", [":1: ", "'lists' must be one line"]),
    ("lists: []\n", [":1: ", "'lists' has no value"]),
    (String(repeating: "[", count: 100_000), ["not YAML"]),
    (String(repeating: "{a: ", count: 100_000), ["not YAML"]),
    (bomb + "? *h\n: 1\n", [" more than 16 aliases; write their values out"]),
    ("# \(String(repeating: "x", count: 1 << 20))\n", ["than the 1048576 bytes"]),
    ("biases: 3\n", [":1: ", "'biases' is a switch and must be true or false"]),
    ("method: bcd\n", [":1: ", "'bcd' is invalid for '--method <method>'"]),
  ]

  @Test(arguments: bad)
  func badFilesAreNamed(yaml: String, parts: [String]) throws {
    try withTemporaryDirectory { path in
      let file = try write(yaml, to: "\(path)/options.yaml")
      let outcome = try run(["train", "data", "--output", "\(path)/run", "--config", file])
      outcome.expectFailure(.usage, file)
      #expect(outcome.standardError.utf8.count < 1000)
      for part in parts { #expect(outcome.errors.first?.contains(part) == true, "\(outcome)") }
      #expect(try names(in: path) == ["options.yaml"])
    }
  }

  /// A key that the command line overrides is not used, but still has to be one.
  @Test func overriddenKeysAreCheckedToo() throws {
    try withTemporaryDirectory { path in
      let file = try write("epochs: {a: 1}\n", to: "\(path)/options.yaml")
      try run([
        "train", "data", "--output", "\(path)/run", "--epochs", "1", "--config", file,
      ]).expectFailure(.usage, "'epochs' must be one value")
    }
  }

  @Test func filesThatCannotBeReadAreNamed() throws {
    try withTemporaryDirectory { path in
      let arguments = ["train", "data", "--output", "\(path)/run"]
      try run(arguments + ["--config", "\(path)/none.yaml"])
        .expectFailure(.inputOutput, "cannot read \(path)/none.yaml: No such file")
      try run(arguments + ["--config"]).expectFailure(.usage, "--config needs the name of a file")
      let file = try write([0x61, 0xFF, 0x0A], to: "\(path)/binary")
      try run(arguments + ["--config", file]).expectFailure(.usage, "\(file) is not UTF-8 text")
    }
  }
}
