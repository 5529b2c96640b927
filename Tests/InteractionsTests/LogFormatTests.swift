import Interactions
import Storage
import Testing

@Suite struct LogFormatTests {
  func rows(_ dataset: Dataset, _ split: KeyPath<Shard, LabeledColumns>) throws -> Set<LabeledRow> {
    Set(try dataset.allShards().flatMap { try dataset.rows($0[keyPath: split]) })
  }

  func pairs(_ pairs: [(String, String)], label: UInt8 = 1) -> Set<LabeledRow> {
    Set(pairs.map { LabeledRow(user: $0.0, item: $0.1, label: label) })
  }

  @Test(arguments: ["\n", "\r\n"])
  func adjacencyLinesHoldManyRows(end: String) throws {
    let directory = try TemporaryDirectory()
    let train = try directory.write(
      "0 5 7  9\(end)\(end)  1\t5 \(end)2\(end)0 11", to: "train")
    let test = try directory.write("0 6\(end)2 5 6\(end)", to: "test")
    var options = PreparationOptions(
      source: .split(train: train, valid: nil, test: test), shards: 2)
    options.format = .adjacency
    options.unrated = .positive
    let report = try Preparation.run(options, output: directory.path + "/out")
    let dataset = try Dataset.open(directory.path + "/out")
    #expect(
      try rows(dataset, \.train)
        == pairs([("0", "5"), ("0", "7"), ("0", "9"), ("1", "5"), ("0", "11")]))
    #expect(try rows(dataset, \.test) == pairs([("0", "6"), ("2", "5"), ("2", "6")]))
    #expect(report.train.rows == 5)
    #expect(report.valid.rows == 0)
    #expect(report.test.usersUnknownToTrain == 1)
    #expect(dataset.validRows == 0)
    #expect(dataset.manifest.version == 2)
    #expect(dataset.manifest.rule.unrated == .positive)
    #expect(dataset.manifest.sources.map(\.role) == ["train", "test"])
    #expect(dataset.manifest.sources.map(\.rows) == [5, 3])
  }

  /// A line is in the order of time.
  @Test func adjacencyLinesCanBeSplit() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.write("0 5 7 9 3\n1 5 7\n1 8 9\n2 7 5\n", to: "log")
    var options = PreparationOptions(source: .leaveOneOut(interactions: log), shards: 1)
    options.format = .adjacency
    options.unrated = .positive
    options.keepsSequences = true
    _ = try Preparation.run(options, output: directory.path + "/out")
    let dataset = try Dataset.open(directory.path + "/out")
    #expect(try rows(dataset, \.test) == pairs([("0", "3"), ("1", "9")]))
    #expect(try rows(dataset, \.valid) == pairs([("0", "9"), ("1", "8")]))
    options.source = .whole(interactions: log, fractions: [0.4, 0.3, 0.3])
    let report = try Preparation.run(options, output: directory.path + "/hashed")
    #expect(report.train.rows + report.valid.rows + report.test.rows == 10)
  }

  @Test(arguments: [
    ("", ": ", "the file is empty; expected lines of a user"),
    ("\n\n", ": ", "the file is empty"),
    ("0\n1\n", ": ", "the file holds no rows; expected lines of a user"),
    ("0,1,2\n", ": ", "the file holds no rows; expected lines of a user"),
    ("0 1 99999999999999999999\n", ":1: ", "the item id '99999999999999999999' overflows"),
    ("0 1\n99999999999999999999 1\n", ":2: ", "the user id '99999999999999999999' overflows"),
    ("0 1\n1 \(String(repeating: "x", count: 4097))\n", ":2: ", "longer than 4096 bytes"),
    ("0 1\n1 \(String(repeating: "22 ", count: 400_000))\n", ":2: ", "the line is longer than"),
    ("0 1\n1 7\n", ":2: ", "pair (1, 7) is also in train"),
  ])
  func badAdjacencyLeavesNothingBehind(text: String, place: String, message: String) throws {
    let directory = try TemporaryDirectory()
    // Bad in test, where a pair may be a leak.
    let train = try directory.write("0 5\n1 7\n", to: "train")
    let test = try directory.write(text, to: "test")
    var options = PreparationOptions(source: .split(train: train, valid: nil, test: test))
    options.format = .adjacency
    options.unrated = .positive
    let failure = try #require(
      failure { _ = try Preparation.run(options, output: directory.path + "/out") })
    #expect(failure.kind == .data)
    #expect(failure.message.hasPrefix("\(directory.path)/test\(place)"), "\(failure)")
    #expect(failure.message.contains(message), "\(failure)")
    #expect(try directory.names() == ["test", "train"])
  }

  /// Rows without a rating count as positive, those with one by it.
  @Test func unratedRowsCanBePositive() throws {
    let directory = try TemporaryDirectory()
    let train = try directory.write("u\ta\nu\tb\t1\nu\tc\t5\nu\td\t\t7\n", to: "train")
    let valid = try directory.write("u\te\n", to: "valid")
    let test = try directory.write("u\tf\n", to: "test")
    var options = PreparationOptions(
      source: .split(train: train, valid: valid, test: test), shards: 1)
    options.unrated = .positive
    let report = try Preparation.run(options, output: directory.path + "/out")
    let shard = try Dataset.open(directory.path + "/out").shard(0)
    unsafe #expect(Array(shard.train.labels) == [1, 0, 1, 1])
    unsafe #expect(Array(shard.valid.labels) == [1])
    #expect(report.exposures == 0)
    options.unrated = .exposure
    #expect(
      failure { _ = try Preparation.run(options, output: directory.path + "/b") }?.message.contains(
        "/valid:1: a row of valid has no rating") == true)
  }

  /// Pairs of test may be in valid when asked for, but never in train.
  @Test func overlapsAreAcceptedWhenAskedFor() throws {
    let directory = try TemporaryDirectory()
    let train = try directory.write("u\ta\t5\n", to: "train")
    let valid = try directory.write("u\tb\t1\nu\tc\t5\n", to: "valid")
    let test = try directory.write("u\tb\t5\nu\td\t5\n", to: "test")
    var options = PreparationOptions(
      source: .split(train: train, valid: valid, test: test), shards: 1)
    let refused = failure { _ = try Preparation.run(options, output: directory.path + "/a") }
    #expect(refused?.message.contains("/test:1: pair (u, b) is also in valid") == true)
    #expect(refused?.message.contains("--allow-overlap") == true)
    options.allowsOverlap = true
    let report = try Preparation.run(options, output: directory.path + "/b")
    #expect(report.overlappingRows == 1)
    #expect(report.test.rows == 2)
    #expect(try Dataset.open(directory.path + "/b").manifest.version == 1)
    options.source = .split(train: valid, valid: train, test: test)
    let leak = failure { _ = try Preparation.run(options, output: directory.path + "/c") }
    #expect(leak?.message.contains("/test:1: pair (u, b) is also in train") == true)
    #expect(leak?.message.contains("--allow-overlap") == false)
  }
}
