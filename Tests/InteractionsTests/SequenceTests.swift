import Foundation
import Interactions
import Storage
import Testing

@Suite struct SequenceTests {
  /// A toy log with timestamps in every order; positive from 3.
  static func prepare(
    in directory: TemporaryDirectory, shards: Int = 4, labelFraction: Double = 1,
    keepsSequences: Bool = true, isTimed: Bool = true
  ) throws -> (log: ToyLog, dataset: Dataset) {
    let log = ToyLog()
    func text(_ rows: [Row]) -> String {
      rows.enumerated().map { line, row in
        "\(row.user)\t\(row.item)\t\(row.rating.map { "\($0)" } ?? "")"
          + (isTimed ? "\t\(time(line))\n" : "\n")
      }.joined()
    }
    var options = PreparationOptions(
      source: .split(
        train: try directory.write(text(log.train), to: "train.tsv"),
        valid: try directory.write(text(log.valid), to: "valid.tsv"),
        test: try directory.write(text(log.test), to: "test.tsv")),
      labelFraction: labelFraction, shards: shards)
    options.keepsSequences = keepsSequences
    let output = "\(directory.path)/dataset"
    try? Files.remove(output)
    _ = try Preparation.run(options, output: output)
    return (log, try Dataset.open(output))
  }

  /// Of the row on a line: 40 times, so that many are equal.
  static func time(_ line: Int) -> Int { line * 17 % 40 - 20 }

  @Test(arguments: [1, 4], [false, true])
  func sequencesAgreeWithBruteForce(shards: Int, isTimed: Bool) throws {
    let directory = try TemporaryDirectory()
    let (log, dataset) = try Self.prepare(in: directory, shards: shards, isTimed: isTimed)
    try dataset.requireSequences()
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    func inTime(_ rows: [Row], of user: String) -> [Row] {
      rows.enumerated().filter { $1.user == user && $1.rating != nil }.sorted { first, second in
        let times = isTimed ? (Self.time(first.offset), Self.time(second.offset)) : (0, 0)
        return times.0 != times.1 ? times.0 < times.1 : first.offset < second.offset
      }.map(\.element)
    }
    func liked(_ rows: [Row]) -> [String] {
      rows.filter { $0.rating.map { $0 >= 3 } ?? false }.map(\.item)
    }
    for shard in try dataset.allShards() {
      let sequences = try #require(shard.sequences)
      // What each user's labeled rows look like when walked in time.
      var contexts: [String: [(row: Row, context: [String])]] = [:]
      for user in shard.users {
        let name = users.externalIdentifier(of: user)
        let train = inTime(log.train, of: name)
        contexts[name] = train.enumerated().map { ($1, liked(Array(train[..<$0]))) }
        let local = shard.local(UInt32(user))
        let sequence = unsafe sequences.items[local].map { items.externalIdentifier(of: Int($0)) }
        #expect(sequence == liked(train))
        let recent = liked(inTime(log.valid, of: name))
        for length in [0, 1, 3, 200] {
          for split in [Split.valid, .test] {
            let context = shard.context(of: UInt32(user), for: split, last: length)
            let expected = liked(train) + (split == .test ? recent : [])
            #expect(
              context.map { items.externalIdentifier(of: Int($0)) } == expected.suffix(length))
          }
        }
      }
      // Rows of the shard in the order of the log: of equal rows the earlier one comes first in time
      // only if times say so, hence the comparison as sets with multiplicity.
      var seen: [String: Int] = [:]
      for (row, labeled) in try dataset.rows(shard.train).enumerated() {
        let context = unsafe shard.context(ofTrainRow: row).map {
          items.externalIdentifier(of: Int($0))
        }
        seen["\(labeled.user) \(labeled.item) \(labeled.label) \(context)", default: 0] += 1
      }
      for (name, rows) in contexts {
        for (row, context) in rows {
          let label = row.rating.map { $0 >= 3 } ?? false ? 1 : 0
          seen["\(name) \(row.item) \(label) \(context)", default: 0] -= 1
        }
      }
      #expect(seen.values.allSatisfy { $0 == 0 })
    }
  }

  /// A position belongs to the row that it was made from.
  @Test func positionsAndRowsAreInverse() throws {
    let directory = try TemporaryDirectory()
    let dataset = try Self.prepare(in: directory, labelFraction: 0.7).dataset
    for shard in try dataset.allShards() {
      let sequences = try #require(shard.sequences)
      for user in 0..<sequences.items.count {
        let start = unsafe Int(sequences.items.offsets[user])
        for position in unsafe sequences.items[user].indices {
          let row = unsafe Int(sequences.rows[start + position])
          unsafe #expect(Int(sequences.positions[row]) == position)
          unsafe #expect(shard.train.items[row] == sequences.items[user][position])
          unsafe #expect(shard.local(shard.train.users[row]) == user)
        }
      }
    }
  }

  /// Sequences add columns and change no other but the order in time of valid and test rows.
  @Test func trainColumnsStayAsTheyAre() throws {
    let directory = try TemporaryDirectory()
    let without = try Self.prepare(in: directory, keepsSequences: false).dataset
    #expect(without.manifest.version == 1)
    #expect(!without.hasSequences)
    #expect(try without.shard(0).sequences == nil)
    let failure = try #require(failure { try without.requireSequences() })
    #expect(failure.kind == .data)
    #expect(failure.message.contains("prepare the dataset again with --sequences"))
    let with = try Self.prepare(in: directory, isTimed: false).dataset
    #expect(with.manifest.version == 2)
    for (shard, first) in zip(with.manifest.shards, without.manifest.shards) {
      for (name, column) in first.columns { #expect(shard.columns[name] == column) }
      #expect(shard.columns.count == first.columns.count + 4)
    }
    #expect(with.fingerprint != without.fingerprint)
  }

  /// Every column of sequences that contradicts the rows is refused, also without checksums.
  @Test(arguments: ["train.positions", "sequence.items", "sequence.rows", "sequence.offsets"])
  func contradictionsAreRefused(name: String) throws {
    let directory = try TemporaryDirectory()
    _ = try Self.prepare(in: directory, shards: 1)
    let path = directory.path + "/dataset"
    let file = "\(path)/shards/0000/\(name)"
    let original = try Files.read(file)
    for offset in stride(from: 0, to: original.count, by: original.count / 40 * 4) {
      for delta in [UInt8(1), 0x80] {
        var damaged = original
        damaged[offset] ^= delta
        try Data(damaged).write(to: URL(fileURLWithPath: file))
        let verified = failure { _ = try Dataset.open(path).shard(0) }
        #expect(verified?.message.contains(name) == true)
        // A position that is wrong by little is right for some row that is negative.
        if name == "train.positions" { continue }
        let ranged = failure { _ = try Dataset.open(path, verify: false).shard(0) }
        #expect(ranged?.kind == .data)
      }
    }
    for bytes in [Array(original.dropLast(4)), original + original.prefix(4)] {
      try Data(bytes).write(to: URL(fileURLWithPath: file))
      #expect(failure { _ = try Dataset.open(path, verify: false).shard(0) }?.kind == .data)
    }
  }

  /// The edges of a graph model, gathered or mapped.
  @Test(arguments: [false, true])
  func positiveItemsAgreeWithBruteForce(isImplicit: Bool) throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    if isImplicit { log.train = log.train.map { Row($0.user, $0.item, 4) } }
    let dataset = try log.prepare(in: directory).dataset
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    for shard in try dataset.allShards() {
      let edges = shard.positiveItems()
      #expect(edges.count == shard.users.count)
      for user in shard.users {
        let name = users.externalIdentifier(of: user)
        let liked = log.train.filter { $0.user == name && $0.rating.map { $0 >= 3 } ?? false }
        let expected = Set(liked.compactMap { items.index(of: $0.item).map { UInt32($0) } })
          .sorted()
        unsafe #expect(Array(edges[shard.local(UInt32(user))]) == expected)
      }
      let isShared = unsafe edges.items.baseAddress == shard.met.items.baseAddress
      #expect(isShared == isImplicit)
    }
  }
}
