import Foundation
import Storage
import TestSupport
import Testing

/// Logs as people have them: what is refused says where, what is accepted is counted.
@Suite struct LogTests {
  static let train = "u1\ti1\t5\nu1\ti2\t1\nu2\ti1\t4\nu2\ti3\t2\n"
  static let valid = "u1\ti3\t5\nu1\ti4\t1\n"
  static let test = "u2\ti2\t5\nu3\ti5\t1\n"

  /// Prepares three small logs, each of which may be replaced, in a directory of its own.
  static func prepare<T>(
    train: [UInt8] = Array(Self.train.utf8), valid: [UInt8] = Array(Self.valid.utf8),
    test: [UInt8] = Array(Self.test.utf8), _ more: [String] = [],
    _ body: (RunningProcess.Outcome, _ path: String) throws -> T
  ) throws -> T {
    try withTemporaryDirectory { path in
      let logs = try [("train", train), ("valid", valid), ("test", test)].flatMap { name, bytes in
        ["--\(name)", try write(bytes, to: "\(path)/\(name).tsv")]
      }
      let outcome = try run(["prepare", "\(path)/out", "--shards", "2"] + logs + more)
      if outcome.status != 0 {
        // Neither the dataset nor its hidden, half-made sibling.
        #expect(try names(in: path) == ["test.tsv", "train.tsv", "valid.tsv"])
      }
      return try body(outcome, path)
    }
  }

  static let bad: [(log: String, place: String, message: String)] = [
    ("", "", "the file is empty"),
    ("\n\n", "", "the file is empty"),
    ("user\titem\trating\n", "", "a header and no rows"),
    ("u1\nu2\n", ":1", "one field where user and item are expected"),
    ("u1\ti9\t5\nu2\n", ":2", "one field where user and item are expected"),
    ("u1\ti9\t5\n\ti8\t5\n", ":2", "the user id is empty"),
    ("u1\ti9\t5\nu1\ti8\tgood\n", ":2", "rating 'good' is not a number"),
    ("u1\ti9\t5\nu1\ti8\tNaN\n", ":2", "rating 'NaN' is not finite"),
    ("u1\ti9\t5\n\nu1\ti8\t-inf\n", ":3", "rating '-inf' is not finite"),
    (
      "u1\ti9\t5\n99999999999999999999\ti8\t3\n", ":2",
      "the user id '99999999999999999999' overflows"
    ),
    ("u1\ti9\t5\nu1\t12345678901234567890\t3\n", ":2", "'12345678901234567890' overflows"),
    ("u1\ti9\t5\t1\t2\t3\n", ":1", "more than 4 fields"),
  ]

  @Test(arguments: bad)
  func badLogsAreNamed(log: String, place: String, message: String) throws {
    try Self.prepare(train: Array(log.utf8)) { outcome, path in
      outcome.expectFailure(.data, "\(path)/train.tsv\(place): ", message)
    }
    try Self.prepare(test: Array(log.utf8)) { outcome, path in
      outcome.expectFailure(.data, "\(path)/test.tsv\(place): ", message)
    }
  }

  /// A pair that is judged must not have been learned.
  @Test func leaksAreNamed() throws {
    try Self.prepare(valid: Array("u1\ti3\t5\nu2\ti1\t1\n".utf8)) { outcome, path in
      outcome.expectFailure(.data, "\(path)/valid.tsv:2: ", "pair (u2, i1) is also in train")
    }
    try Self.prepare(test: Array("u1\ti4\t5\n".utf8)) { outcome, path in
      outcome.expectFailure(.data, "\(path)/test.tsv:1: ", "pair (u1, i4) is also in valid")
    }
  }

  @Test func labelsThatAreMissingAreNamed() throws {
    try Self.prepare(train: Array("u1\ti1\nu2\ti2\n".utf8)) { outcome, _ in
      outcome.expectFailure(.data, "no labeled rows for train")
    }
    try Self.prepare(valid: Array("u1\ti3\t5\nu1\ti4\n".utf8)) { outcome, path in
      outcome.expectFailure(.data, "\(path)/valid.tsv:2: ", "a row of valid has no rating")
    }
    try Self.prepare(["--label-fraction", "1e-9"]) { outcome, _ in
      outcome.expectFailure(.data, "leaves none of the 4 labeled rows", "raise it")
    }
  }

  @Test func repetitionsAreCounted() throws {
    let log = "u1\ti1\t5\nu1\ti1\t5\nu1\ti1\t1\nu2\ti1\t3\nu2\ti1\t4\nu2\ti2\t4\n"
    try Self.prepare(train: Array(log.utf8), test: Array("u2\ti3\t1\n".utf8)) { outcome, _ in
      let printed = try outcome.success()
      #expect(
        printed.contains(
          "\nrepeated in train: 2 pairs, 1 of them with both labels; every row is kept\n"))
    }
  }

  @Test func newcomersAreCounted() throws {
    try Self.prepare { outcome, path in
      let lines = try outcome.success().split(separator: "\n")
        .map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
      // Split, rows, positive (two words), users and items unknown to train.
      #expect(lines[1] == ["train", "4", "50.0", "%", "0", "0"])
      #expect(lines[2] == ["valid", "2", "50.0", "%", "0", "1"])
      #expect(lines[3] == ["test", "2", "50.0", "%", "1", "1"])
      #expect(
        outcome.standardOutput.contains("\n3 users, 5 items, 0 unlabeled exposures, 2 shards"))
      #expect(outcome.standardOutput.hasSuffix("\ndataset written to \(path)/out\n"))
      // They can be trained and judged with.
      try run(["train", "\(path)/out", "--output", "\(path)/run", "--epochs", "2"]).success()
    }
  }

  /// A run that learns from exposures needs some.
  @Test func exposuresThatAreMissingAreNamed() throws {
    try Self.prepare { outcome, path in
      try outcome.success()
      let arguments = [
        "train", "\(path)/out", "--output", "\(path)/run", "--unlabeled-source", "exposures",
      ]
      try run(arguments).expectFailure(.usage, "\(path)/out has no unlabeled exposures")
      #expect(!exists("\(path)/run"))
      try run(arguments + ["--method", "bce", "--epochs", "1"]).success()
    }
  }

  static func fingerprint(_ dataset: String) throws -> String {
    try #require(try json(text("\(dataset)/dataset.json"))["fingerprint"] as? String)
  }

  /// Logs from Windows, logs with headers and logs with other separators hold the same rows.
  @Test func theFormOfALogDoesNotMatter() throws {
    let plain = try Self.prepare { outcome, path in
      try outcome.success()
      return try Self.fingerprint("\(path)/out")
    }
    let forms: [(String) -> [UInt8]] = [
      { [0xEF, 0xBB, 0xBF] + Array($0.replacingOccurrences(of: "\n", with: "\r\n").utf8) },
      { Array("userId,itemId,rating\n\($0.replacingOccurrences(of: "\t", with: ","))".utf8) },
      { Array($0.replacingOccurrences(of: "\t", with: "::").utf8) },
      { Array($0.replacingOccurrences(of: "\t", with: " ").dropLast().utf8) },
    ]
    for form in forms {
      try Self.prepare(train: form(Self.train), valid: form(Self.valid), test: form(Self.test)) {
        outcome, path in
        try outcome.success()
        #expect(try Self.fingerprint("\(path)/out") == plain)
      }
    }
  }

  @Test func filesThatAreMissingAreNamed() throws {
    try withTemporaryDirectory { path in
      let log = try write(Self.train, to: "\(path)/log")
      for missing in ["\(path)/none", path] {
        try run([
          "prepare", "\(path)/out", "--train", log, "--valid", missing, "--test", log,
        ]).expectFailure(.inputOutput, "cannot read \(missing): ")
        #expect(try names(in: path) == ["log"])
      }
    }
  }

  /// The same options twice: the second time the directory is in use, and stays as it is.
  @Test func whatStandsThereIsKept() throws {
    try Self.prepare { outcome, path in
      try outcome.success()
      let before = try Self.fingerprint("\(path)/out")
      let logs = ["train", "valid", "test"].flatMap { ["--\($0)", "\(path)/\($0).tsv"] }
      try run(["prepare", "\(path)/out"] + logs)
        .expectFailure(.usage, "\(path)/out already exists and is not empty")
      #expect(try Self.fingerprint("\(path)/out") == before)
      try run(["synthesize", "\(path)/out"])
        .expectFailure(.usage, "\(path)/out already exists and is not empty")
      try run(["synthesize", "\(path)/train.tsv"])
        .expectFailure(.usage, "\(path)/train.tsv already exists and is not a directory")
    }
  }

  @Test func theSameSeedGivesTheSameFeed() throws {
    try withTemporaryDirectory { path in
      func feed(_ name: String, seed: Int) throws -> [[UInt8]] {
        try run([
          "synthesize", "\(path)/\(name)", "--users", "40", "--items", "50", "--interactions",
          "900", "--seed", "\(seed)",
        ]).success()
        return try ["train", "valid", "test", "truth"].map {
          try bytes("\(path)/\(name)/\($0).tsv")
        }
      }
      let first = try feed("a", seed: 4)
      #expect(try feed("b", seed: 4) == first)
      #expect(try feed("c", seed: 5) != first)
    }
  }
}
