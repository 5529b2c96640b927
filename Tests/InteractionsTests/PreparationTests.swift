import Foundation
import Interactions
import Storage
import Testing

@Suite struct PreparationTests {
  /// Whatever the number of shards, a dataset holds the rows of the log: train in file order
  /// within a shard, valid and test in file order within a user.
  @Test(arguments: [1, 2, 16, 64])
  func rowsComeBack(shards: Int) throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    let (report, dataset) = try log.prepare(in: directory, shards: shards)
    var owner: [String: Int] = [:]
    let users = try dataset.userIdentifiers()
    for shard in 0..<shards {
      for user in dataset.userRange(ofShard: shard) {
        owner[users.externalIdentifier(of: user)] = shard
      }
    }
    func labeled(_ rows: [Row], _ shard: Int) -> [LabeledRow] {
      rows.filter { owner[$0.user] == shard }.compactMap { row in
        row.rating.map { LabeledRow(user: row.user, item: row.item, label: $0 >= 3 ? 1 : 0) }
      }
    }
    func byUser(_ rows: [LabeledRow]) -> [String: [LabeledRow]] {
      Dictionary(grouping: rows, by: \.user)
    }
    for shard in try dataset.allShards() {
      #expect(try dataset.rows(shard.train) == labeled(log.train, shard.index))
      let valid = try dataset.rows(shard.valid)
      #expect(byUser(valid) == byUser(labeled(log.valid, shard.index)))
      #expect(valid.count == labeled(log.valid, shard.index).count)
      unsafe #expect(Array(shard.valid.users) == shard.valid.users.sorted())
      #expect(byUser(try dataset.rows(shard.test)) == byUser(labeled(log.test, shard.index)))
      unsafe #expect(Array(shard.test.users) == shard.test.users.sorted())
    }
    #expect(report.train.rows == log.train.count { $0.rating != nil })
    #expect(report.train.positives == log.train.count { $0.rating.map { $0 >= 3 } ?? false })
    #expect(report.exposures == log.train.count { $0.rating == nil })
    #expect(dataset.trainRows == report.train.rows)
    #expect(dataset.exposureRows == report.exposures)
    #expect(dataset.validRows == log.valid.count)
    #expect(dataset.testRows == log.test.count)
    #expect(dataset.fingerprint == report.fingerprint)
  }

  @Test func exposuresAndMetItemsAgreeWithBruteForce() throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    let dataset = try log.prepare(in: directory).dataset
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    func index(_ item: String) throws -> UInt32 {
      UInt32(try #require(items.index(of: item)))
    }
    for shard in try dataset.allShards() {
      #expect(shard.met.count == shard.users.count)
      for user in shard.users {
        let name = users.externalIdentifier(of: user)
        let rows = log.train.filter { $0.user == name }
        let shown = try rows.filter { $0.rating == nil }.map { try index($0.item) }
        let met = try Set(rows.map { try index($0.item) }).sorted()
        let local = shard.local(UInt32(user))
        unsafe #expect(Array(shard.exposures[local]) == shown)
        unsafe #expect(Array(shard.met[local]) == met)
      }
    }
  }

  /// Groups long enough to be sorted by digits: one, two and three of them.
  @Test(arguments: [60, 5_000, 70_000])
  func manyItemsOfOneUserAgreeWithBruteForce(items: Int) throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog(users: 2)
    // The last of all items first, then ever more of them twice, the second time as an exposure.
    for step in 0..<min(items, 4_000) {
      let item = (items - 1 - step * 7919 % items + items) % items
      log.train.append(Row("many", "j\(item)", 1 + step % 5))
      if step % 3 == 0 { log.train.append(Row("many", "j\(item)", nil)) }
    }
    // Raises the numbers of the items that come after it.
    for item in 0..<items { log.train.append(Row("other", "j\(item)", nil)) }
    let (report, dataset) = try log.prepare(in: directory, shards: 1)
    let (users, ids) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let shard = try dataset.shard(0)
    for name in ["many", "other"] {
      let rows = log.train.filter { $0.user == name }
      let met = Set(rows.compactMap { ids.index(of: $0.item).map { UInt32($0) } }).sorted()
      let user = try #require(users.index(of: name))
      unsafe #expect(Array(shard.met[shard.local(UInt32(user))]) == met)
    }
    #expect(report.repeatedPairs >= min(items, 4_000) / 3)
  }

  /// The place of an exposed row in another split is found among many.
  @Test(arguments: [Split.train, .valid])
  func aLeakAmongManyRowsIsFound(split: Split) throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog(users: 2)
    for item in 0..<500 {
      log.train.append(Row("many", "j\(item)", 4))
      log.valid.append(Row("many", "k\(item)", 4))
      log.test.append(Row("many", "l\(item)", 4))
    }
    _ = try log.prepare(in: directory, as: "good")
    log.test.append(Row("many", split == .train ? "j250" : "k250", 4))
    let message = failure { _ = try log.prepare(in: directory, as: "bad") }?.message
    #expect(message?.contains(":\(log.test.count): pair (many, ") == true, "\(message ?? "none")")
    #expect(message?.contains("is also in \(split.name);") == true, "\(message ?? "none")")
  }

  /// Dense order is shard order, and first appearance inside a shard.
  @Test func idsAreRenumberedByShard() throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    let dataset = try log.prepare(in: directory, shards: 8).dataset
    var appearance: [String: Int] = [:]
    for row in log.train + log.valid + log.test where appearance[row.user] == nil {
      appearance[row.user] = appearance.count
    }
    let users = try dataset.userIdentifiers()
    #expect(dataset.userStarts.first == 0)
    #expect(dataset.userStarts.last == dataset.users)
    #expect(dataset.itemStarts.last == dataset.items)
    for shard in 0..<8 {
      let places = dataset.userRange(ofShard: shard).compactMap {
        appearance[users.externalIdentifier(of: $0)]
      }
      #expect(places == places.sorted())
    }
    for shard in try dataset.allShards() {
      unsafe #expect(shard.train.users.allSatisfy { shard.users.contains(Int($0)) })
      #expect(shard.itemRows == dataset.itemRange(ofShard: shard.index))
    }
    let firsts = try dataset.allShards().map(\.firstTrainRow)
    let counts = try dataset.allShards().map(\.train.count)
    #expect(firsts == counts.indices.map { counts[..<$0].reduce(0, +) })
  }

  @Test func repeatedAndConflictingPairsAreCounted() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    log.train = [
      Row("a", "x", 5), Row("a", "x", 1), Row("a", "y", 5), Row("a", "y", 4), Row("a", "z", nil),
      Row("a", "z", 2), Row("b", "x", 5), Row("a", "x", 5),
    ]
    log.valid = [Row("b", "y", 5), Row("b", "y", 5)]
    log.test = [Row("c", "w", 1)]
    let (report, dataset) = try log.prepare(in: directory)
    #expect(report.repeatedPairs == 3)
    #expect(report.conflictingPairs == 1)
    #expect(dataset.trainRows == 7)
    #expect(dataset.validRows == 2)
    #expect(report.valid.usersUnknownToTrain == 0)
    #expect(report.test.usersUnknownToTrain == 1)
    #expect(report.test.itemsUnknownToTrain == 1)
    #expect(report.valid.itemsUnknownToTrain == 0)
  }

  @Test func theThresholdDecidesTheLabel() throws {
    let directory = try TemporaryDirectory()
    let train = try directory.write("u\ta\t3.5\nu\tb\t3.49\nu\tc\t-1\n", to: "train")
    let valid = try directory.write("u\td\t3.5\n", to: "valid")
    let test = try directory.write("u\te\t1e1\n", to: "test")
    let options = PreparationOptions(
      source: .split(train: train, valid: valid, test: test), positiveFrom: 3.5, shards: 1)
    let report = try Preparation.run(options, output: directory.path + "/out")
    #expect(report.train.positives == 1)
    let dataset = try Dataset.open(directory.path + "/out")
    unsafe #expect(Array(try dataset.shard(0).train.labels) == [1, 0, 0])
  }

  /// The same input gives the same bytes in every file.
  @Test func preparationIsDeterministic() throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    for name in ["a", "b"] {
      _ = try log.prepare(in: directory, as: name, labelFraction: 0.5, thinned: .exposure)
    }
    let names = try #require(FileManager.default.subpaths(atPath: directory.path + "/a")).sorted()
    #expect(names.contains("shards/0003/met.items"))
    #expect(!names.contains { $0.contains("scratch") })
    for name in names where !name.hasPrefix("shards/00") || name.contains(".") {
      if name == "shards" || name == "identifiers" { continue }
      let first = try Files.read("\(directory.path)/a/\(name)")
      #expect(try Files.read("\(directory.path)/b/\(name)") == first, "\(name)")
    }
    #expect(FileManager.default.subpaths(atPath: directory.path + "/b")?.sorted() == names)
  }

  @Test func theFingerprintNamesTheContent() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    let first = try log.prepare(in: directory, as: "a").report.fingerprint
    #expect(first.count == 64)
    #expect(try log.prepare(in: directory, as: "b", shards: 8).report.fingerprint != first)
    #expect(try log.prepare(in: directory, as: "c", seed: .max).report.fingerprint != first)
    log.test[0].rating = log.test[0].rating.map { $0 >= 3 ? 1 : 5 }
    #expect(try log.prepare(in: directory, as: "d").report.fingerprint != first)
  }
}
