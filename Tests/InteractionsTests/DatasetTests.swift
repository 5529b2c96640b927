import Foundation
import Interactions
import Storage
import Testing

@Suite struct DatasetTests {
  /// Opens everything there is.
  func openAll(_ path: String, verify: Bool = true) throws {
    let dataset = try Dataset.open(path, verify: verify)
    _ = try dataset.allShards()
    _ = try dataset.userIdentifiers()
    _ = try dataset.itemIdentifiers()
  }

  func files(_ path: String) throws -> [String] {
    let names = try #require(FileManager.default.subpaths(atPath: path))
    return names.filter { name in
      let file = name.split(separator: "/").last ?? ""
      return file.contains(".")
    }.sorted()
  }

  /// Every file, altered in its middle, cut short by a byte, grown by one, or gone, is refused.
  @Test func alteredFilesAreRefused() throws {
    let directory = try TemporaryDirectory()
    _ = try ToyLog().prepare(in: directory, shards: 2)
    let path = directory.path + "/dataset"
    try openAll(path)
    let names = try files(path)
    #expect(names.count == 1 + 4 + 2 * 13)
    for name in names {
      let file = "\(path)/\(name)"
      let original = try Files.read(file)
      var flipped = original
      if !flipped.isEmpty { flipped[flipped.count / 2] ^= 1 }
      for bytes in [flipped, Array(original.dropLast()), original + [0]] where bytes != original {
        // White space after the description changes nothing in it.
        if name == "dataset.json", bytes != flipped { continue }
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        let failure = try #require(failure { try openAll(path) }, "\(name)")
        #expect(failure.kind == .data)
        #expect(failure.message.contains(name))
      }
      try Files.remove(file)
      #expect(failure { try openAll(path) }?.kind == .data)
      try Data(original).write(to: URL(fileURLWithPath: file))
    }
    try openAll(path)
  }

  /// Without checksums the ranges of all values are still checked: loops rely on them.
  @Test func valuesOutOfRangeAreRefusedWithoutChecksums() throws {
    let directory = try TemporaryDirectory()
    _ = try ToyLog().prepare(in: directory, shards: 2)
    let path = directory.path + "/dataset"
    for name in try files(path) where name != "dataset.json" && !name.hasSuffix(".bytes") {
      let file = "\(path)/\(name)"
      let original = try Files.read(file)
      var damaged = original
      // The highest byte of the last value makes it too large; -1 as a label likewise.
      damaged[damaged.count - 1] = 0xFF
      try Data(damaged).write(to: URL(fileURLWithPath: file))
      let failure = try #require(failure { try openAll(path, verify: false) }, "\(name)")
      #expect(failure.kind == .data)
      try Data(original).write(to: URL(fileURLWithPath: file))
    }
  }

  @Test func rowsOutOfOrderAreRefusedWithoutChecksums() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    log.train = [Row("a", "x", 5), Row("a", "y", 5), Row("b", "x", 1)]
    log.valid = [Row("a", "z", 5), Row("b", "z", 5)]
    log.test = [Row("a", "w", 5), Row("b", "w", 5)]
    _ = try log.prepare(in: directory, shards: 1)
    let path = directory.path + "/dataset"
    for name in ["met.items", "valid.users", "test.users"] {
      let file = "\(path)/shards/0000/\(name)"
      let original = try Files.read(file)
      let swapped = Array(original[4..<8] + original[0..<4] + original[8...])
      try Data(swapped).write(to: URL(fileURLWithPath: file))
      let failure = try #require(failure { try openAll(path, verify: false) }, "\(name)")
      #expect(failure.message.contains(name))
      try Data(original).write(to: URL(fileURLWithPath: file))
    }
  }

  static let descriptions: [(change: @Sendable (String) -> String, message: String)] = [
    (
      { $0.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 3") },
      "format version 3 is newer than this program understands (2)"
    ),
    (
      { $0.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 2") },
      "the rule is not one of version 2"
    ),
    (
      { $0.replacingOccurrences(of: "\"seed\" : ", with: "\"split\" : \"given\", \"seed\" : ") },
      "the rule is not one of version 1"
    ),
    (
      {
        $0.replacingOccurrences(
          of: "\"testRows\" : ", with: "\"sequenceItems\" : 0, \"testRows\" : ")
      },
      "some shards have sequences that should have none"
    ),
    ({ $0.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 0") }, "version is 0"),
    ({ $0.replacingOccurrences(of: "inverse-dataset", with: "other") }, "'other'"),
    (
      { $0.replacingOccurrences(of: "\"trainRows\" : ", with: "\"trainRows\" : -") }, "out of range"
    ),
    (
      {
        $0.replacingOccurrences(
          of: "\"testRows\" : ", with: "\"testRows\" : 9223372036854775807, \"x\" : ")
      },
      "out of range"
    ),
    (
      {
        $0.replacingOccurrences(
          of: "\"testRows\" : ", with: "\"testRows\" : 99999999999999999999, \"x\" : ")
      },
      "description of a dataset"
    ),
    (
      { $0.replacingOccurrences(of: "\"users\" : ", with: "\"users\" : \"many\", \"x\" : ") },
      "wrong type"
    ),
    (
      { $0.replacingOccurrences(of: "\"users\" : ", with: "\"users\" : 0, \"x\" : ") },
      "out of range"
    ),
    ({ $0.replacingOccurrences(of: "\"items\" : ", with: "\"x\" : ") }, "'items' is missing"),
    ({ $0.replacingOccurrences(of: "\"shardCount\" : 2", with: "\"shardCount\" : 3") }, "shards"),
    ({ $0.replacingOccurrences(of: "\"shardCount\" : 2", with: "\"shardCount\" : 4") }, "shards"),
    (
      { $0.replacingOccurrences(of: "\"userStarts\" : [", with: "\"userStarts\" : [ -1, ") },
      "userStarts"
    ),
    ({ $0.replacingOccurrences(of: "\"bytes\" : ", with: "\"bytes\" : 1") }, "bytes"),
    ({ $0.replacingOccurrences(of: "\"seed\" : 5", with: "\"seed\" : 6") }, "fingerprint"),
    ({ _ in "" }, "description of a dataset"),
    ({ _ in "[]" }, "wrong type"),
    (
      { _ in "{\"format\": \"inverse-dataset\", \"version\": 7, \"new\": true}" },
      "version 7 is newer"
    ),
    ({ String($0.prefix($0.count / 2)) }, "damaged"),
  ]

  @Test(arguments: descriptions.indices)
  func badDescriptionsAreRefused(index: Int) throws {
    let (change, message) = Self.descriptions[index]
    let directory = try TemporaryDirectory()
    _ = try ToyLog().prepare(in: directory, shards: 2)
    let path = directory.path + "/dataset"
    let file = path + "/dataset.json"
    let original = String(decoding: try Files.read(file), as: UTF8.self)
    let changed = change(original)
    #expect(changed != original)
    try Data(changed.utf8).write(to: URL(fileURLWithPath: file))
    let failure = try #require(failure { try openAll(path) })
    #expect(failure.kind == .data)
    #expect(failure.message.contains("dataset.json"))
    #expect(failure.message.contains(message), "\(failure.message)")
    #expect(!failure.message.contains("\n"))
  }

  /// What the program wrote before there was a second version is opened, and made again.
  @Test func theFirstVersionStaysReadable() throws {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent()
    let path = tests.appending(path: "Goldens/dataset-version-1").path
    let dataset = try Dataset.open(path)
    #expect(dataset.manifest.version == 1)
    #expect(dataset.manifest.rule.unrated == nil)
    #expect(!dataset.hasSequences)
    let shard = try dataset.shard(0)
    #expect(shard.sequences == nil)
    func label(_ user: String, _ item: String, _ label: UInt8) -> LabeledRow {
      LabeledRow(user: user, item: item, label: label)
    }
    #expect(
      try dataset.rows(shard.train) == [label("a", "x", 1), label("b", "x", 0), label("b", "z", 1)])
    #expect(try dataset.rows(shard.valid) == [label("a", "w", 1)])
    #expect(try dataset.rows(shard.test) == [label("b", "w", 0)])
    #expect(failure { try dataset.requireSequences() }?.kind == .data)

    let directory = try TemporaryDirectory()
    let options = PreparationOptions(
      source: .split(
        train: try directory.write("a\tx\t5\na\ty\nb\tx\t1\nb\tz\t4\n", to: "train.tsv"),
        valid: try directory.write("a\tw\t5\n", to: "valid.tsv"),
        test: try directory.write("b\tw\t2\n", to: "test.tsv")), shards: 1, seed: 1)
    _ = try Preparation.run(options, output: directory.path + "/dataset")
    for name in try files(path) {
      #expect(try Files.read("\(directory.path)/dataset/\(name)") == Files.read("\(path)/\(name)"))
    }
  }

  @Test func otherDirectoriesAreNoDatasets() throws {
    let directory = try TemporaryDirectory()
    for path in [directory.path, directory.path + "/absent"] {
      let failure = try #require(failure { try openAll(path) })
      #expect(failure.kind == .data)
      #expect(failure.message.contains("\(path) is not a dataset: dataset.json is missing"))
    }
  }

  /// A shard costs nothing before it is asked for, and is mapped once.
  @Test func shardsAreOpenedWhenAskedFor() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog().prepare(in: directory, shards: 2).dataset
    try Files.remove(directory.path + "/dataset/shards/0001")
    let first = try dataset.shard(0)
    #expect(try dataset.shard(0) === first)
    #expect(throws: Failure.self) { try dataset.shard(1) }
  }

  /// Seeds are whole 64-bit numbers, also above what a Double or an Int holds.
  @Test func rulesSurviveTheDescription() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog().prepare(
      in: directory, labelFraction: 0.3, thinned: .exposure, seed: .max
    ).dataset
    #expect(dataset.manifest.rule.seed == .max)
    #expect(dataset.manifest.rule.labelFraction == 0.3)
    #expect(dataset.manifest.rule.thinned == .exposure)
    #expect(dataset.manifest.sources.map(\.role) == ["train", "valid", "test"])
    #expect(dataset.manifest.sources[0].rows == ToyLog().train.count)
  }
}
