import Foundation
import Interactions
import Storage
import Testing

/// Counts beyond 2³¹ and files beyond 4 GiB: handled, or refused with a line that says which.
@Suite struct LargeCountTests {
  /// A file of lines of 1 MiB whose bytes are zero but for the fields at their ends, so that it
  /// takes little space.
  private func makeLongLog(_ path: String, lines: Int) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let end = Array("\ti\t5\n".utf8)
    for line in 1...lines {
      let offset = line << 20 - end.count
      try #require(unsafe end.withUnsafeBytes { unsafe writeAll(descriptor, $0, at: offset) } == 0)
    }
  }

  @Test func aLogBeyondFourGiBIsRead() throws {
    let directory = try TemporaryDirectory()
    let (path, lines) = ("\(directory.path)/log", 4100)
    try makeLongLog(path, lines: lines)
    let reader = try LogReader(path: path)
    var (rows, mismatches) = (0, 0)
    while try reader.next() {
      rows += 1
      if unsafe reader.user.count != 1 << 20 - 5 || reader.rating != 5 || reader.line != rows {
        mismatches += 1
      }
    }
    #expect(rows == lines && mismatches == 0)
    #expect(reader.bytes == lines << 20)
    #expect(reader.bytes > 1 << 32)
  }

  @Test func aLineWithoutEndIsRefused() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("u\ti\t5\n", to: "log")
    try #require(unsafe truncate(path, off_t(1) << 40) == 0)
    for format in LogFormat.allCases {
      var options = PreparationOptions(source: .leaveOneOut(interactions: path))
      options.format = format
      let failure = try #require(
        failure { _ = try Preparation.run(options, output: directory.path + "/out") })
      #expect(failure.kind == .data)
      #expect(failure.message.hasPrefix("\(path):2: the line is longer than 1048576 bytes"))
    }
    let lists = try #require(
      failure {
        let reader = try CandidateListReader(path: path)
        while try reader.next() != nil {}
      })
    #expect(lists.message.hasPrefix("\(path):2: the line is longer than 1048576 bytes"))
  }

  /// An id that fits a line, but is none.
  @Test func anIdOfAMegabyteIsRefused() throws {
    let directory = try TemporaryDirectory()
    let long = String(repeating: "x", count: 1_000_000)
    for (row, kind) in [("\(long)\ti\t5\n", "user"), ("u\t\(long)\t5\n", "item")] {
      let path = try directory.write("u\ti\t5\n" + row, to: "log")
      let failure = try #require(
        failure {
          _ = try Preparation.run(
            PreparationOptions(source: .leaveOneOut(interactions: path)),
            output: directory.path + "/out")
        })
      #expect(failure.message.hasPrefix("\(path):2: the \(kind) id '"))
      #expect(failure.message.contains("is longer than 4096 bytes; is a separator missing?"))
      #expect(failure.message.utf8.count < 1000)
    }
  }

  @Test func oneIdTooManyIsExplained() {
    #expect(IdentifierBuilder.maximumCount == 1 << 31 - 1)
    #expect(
      IdentifierFault.tooMany.explanation == "is one too many: at most 2147483647 are supported")
  }

  /// A description changed as text is, with a fingerprint that belongs to it.
  private func describe(
    _ path: String, _ change: (inout [String: Any]) throws -> Void
  ) throws {
    let file = "\(path)/dataset.json"
    var object = try #require(
      try JSONSerialization.jsonObject(with: Data(try Files.read(file))) as? [String: Any])
    try change(&object)
    var manifest = try JSONDecoder().decode(
      DatasetManifest.self, from: try JSONSerialization.data(withJSONObject: object))
    manifest.fingerprint = manifest.computedFingerprint()
    try JSONEncoder().encode(manifest).write(to: URL(fileURLWithPath: file))
  }

  private func prepared(_ body: (String) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    _ = try ToyLog().prepare(in: directory, shards: 1)
    try body(directory.path + "/dataset")
  }

  @Test(arguments: [1 << 31, 1 << 32, Int.max])
  func moreThanTwoToThe31IdsAreRefused(count: Int) throws {
    for name in ["users", "items"] {
      try prepared { path in
        try describe(path) {
          $0[name] = count
          $0["\(name.dropLast())Starts"] = [0, count]
        }
        let failure = try #require(failure { _ = try Dataset.open(path) })
        #expect(failure.kind == .data)
        #expect(failure.message.contains("the numbers of users and items, "))
        #expect(failure.message.contains("\(count)"))
        #expect(failure.message.contains(" are out of range"))
      }
    }
  }

  /// As many ids as there may be, in a description that contradicts nothing but the files.
  @Test(arguments: ["users", "items"]) func claimedIdsMustBeThere(name: String) throws {
    try prepared { path in
      let claimed = 1 << 31 - 1
      try describe(path) { object in
        object[name] = claimed
        object["\(name.dropLast())Starts"] = [0, claimed]
        var identifiers = try #require(object["identifiers"] as? [String: [String: Any]])
        identifiers["\(name).offsets"]?["bytes"] = 8 * (claimed + 1)
        object["identifiers"] = identifiers
        guard name == "users" else { return }
        var shards = try #require(object["shards"] as? [[String: Any]])
        var columns = try #require(shards[0]["columns"] as? [String: [String: Any]])
        for column in ["exposures.offsets", "met.offsets"] {
          columns[column]?["bytes"] = 8 * (claimed + 1)
        }
        shards[0]["columns"] = columns
        object["shards"] = shards
      }
      let failure = try #require(failure { _ = try Dataset.open(path) })
      #expect(failure.kind == .data)
      #expect(failure.message.hasPrefix("\(path)/identifiers/\(name).offsets has "))
      #expect(failure.message.contains("instead of \(8 << 31)"))
    }
  }

  @Test(arguments: [1 << 31, 1 << 44]) func claimedRowsMustBeThere(rows: Int) throws {
    try prepared { path in
      try describe(path) { object in
        var shards = try #require(object["shards"] as? [[String: Any]])
        var columns = try #require(shards[0]["columns"] as? [String: [String: Any]])
        for (column, size) in [("train.users", 4), ("train.items", 4), ("train.labels", 1)] {
          columns[column]?["bytes"] = size * rows
        }
        shards[0]["columns"] = columns
        shards[0]["trainRows"] = rows
        object["shards"] = shards
      }
      let dataset = try Dataset.open(path)
      #expect(dataset.trainRows == rows)
      let failure = try #require(failure { _ = try dataset.shard(0) })
      #expect(failure.kind == .data)
      #expect(failure.message.contains(" bytes instead of \(4 * rows)"))
    }
  }

  /// Elements of sequences name rows by 32 bits.
  @Test func sequencesNameFewerRows() throws {
    let directory = try TemporaryDirectory()
    let log = "u\ta\t5\t1\nu\tb\t5\t2\nu\tc\t5\t3\nu\td\t5\t4\n"
    var options = PreparationOptions(
      source: .leaveOneOut(interactions: try directory.write(log, to: "log")), shards: 1)
    options.keepsSequences = true
    let path = directory.path + "/dataset"
    _ = try Preparation.run(options, output: path)
    try describe(path) { object in
      var shards = try #require(object["shards"] as? [[String: Any]])
      shards[0]["trainRows"] = 1 << 32
      object["shards"] = shards
    }
    let failure = try #require(failure { _ = try Dataset.open(path) })
    #expect(
      failure.message.contains(
        "shard 0 has 4294967296 labeled rows; sequences tell 4294967295 apart"))
  }

  /// A column of 4 GiB and offsets beyond 2³⁰ elements: exposures of the last user, all of item 0.
  @Test func aColumnBeyondFourGiBIsMapped() throws {
    try prepared { path in
      let count = 1 << 30 + 5
      let shard = "\(path)/shards/0000"
      let original = try Dataset.open(path)
      let (users, known) = (original.users, original.exposureRows)
      var offsets = try Files.read("\(shard)/exposures.offsets")
      for place in 0..<8 {
        offsets[8 * users + place] = UInt8(truncatingIfNeeded: count >> (8 * place))
      }
      try Data(offsets).write(to: URL(fileURLWithPath: "\(shard)/exposures.offsets"))
      try #require(unsafe truncate("\(shard)/exposures.items", off_t(4 * count)) == 0)
      try describe(path) { object in
        var shards = try #require(object["shards"] as? [[String: Any]])
        var columns = try #require(shards[0]["columns"] as? [String: [String: Any]])
        columns["exposures.items"]?["bytes"] = 4 * count
        shards[0]["columns"] = columns
        shards[0]["exposureRows"] = count
        object["shards"] = shards
      }
      // Checksums of zeros would take longer and show nothing.
      let opened = try Dataset.open(path, verify: false).shard(0)
      let items = unsafe opened.exposures[users - 1]
      unsafe #expect(items.count >= count - known && items.last == 0)
      unsafe #expect(opened.exposures.offsets.last == UInt64(count))
    }
  }
}
