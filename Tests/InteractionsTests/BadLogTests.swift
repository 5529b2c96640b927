import Foundation
import Interactions
import Storage
import Testing

@Suite struct BadLogTests {
  struct Case: CustomTestStringConvertible {
    var train = "u\ti\t4\nu\tj\t1\n"
    var valid = "u\tk\t4\n"
    var test = "u\tl\t4\n"
    var kind = Failure.Kind.data
    /// The start after the directory, and a part.
    var place: String
    var message: String
    var testDescription: String { message }
  }

  static let cases: [Case] = [
    Case(train: "u\ti\t4\nu\n", place: "train:2: ", message: "one field"),
    Case(train: "", place: "train: ", message: "empty"),
    Case(valid: "", place: "valid: ", message: "empty"),
    Case(
      train: "u\ti\t4\n9223372036854775809\ti\t4\n", place: "train:2: ", message: "user id '9223"),
    Case(test: "u\tl\t4\nu\t99999999999999999999\t4\n", place: "test:2: ", message: "overflows"),
    Case(
      train: "u\ti\t4\n" + String(repeating: "x", count: 4097) + "\ti\t1\n", place: "train:2: ",
      message: "longer than 4096 bytes"),
    Case(valid: "u\tk\t4\nu\tm\n", place: "valid:2: ", message: "has no rating"),
    Case(test: "u\tl\t\t9\n", place: "test:1: ", message: "has no rating"),
    Case(valid: "u\ti\t4\n", place: "valid:1: ", message: "pair (u, i) is also in train"),
    Case(
      train: "u\ti\t4\nu\tm\n", test: "u\tl\t4\nu\tm\t1\n", place: "test:2: ",
      message: "pair (u, m) is also in train"),
    Case(test: "u\tl\t4\nu\tk\t1\n", place: "test:2: ", message: "pair (u, k) is also in valid"),
    Case(train: "u\ti\nu\tj\n", place: "", message: "no labeled rows for train"),
  ]

  @Test(arguments: cases)
  func badLogsLeaveNothingBehind(bad: Case) throws {
    let directory = try TemporaryDirectory()
    let options = PreparationOptions(
      source: .split(
        train: try directory.write(bad.train, to: "train"),
        valid: try directory.write(bad.valid, to: "valid"),
        test: try directory.write(bad.test, to: "test")), shards: 2)
    let failure = try #require(
      failure { _ = try Preparation.run(options, output: directory.path + "/out") })
    #expect(failure.kind == bad.kind)
    if !bad.place.isEmpty {
      #expect(failure.message.hasPrefix("\(directory.path)/\(bad.place)"))
    }
    #expect(failure.message.contains(bad.message))
    #expect(try directory.names() == ["test", "train", "valid"])
  }

  @Test func invalidTextIsNamed() throws {
    let directory = try TemporaryDirectory()
    let good = try directory.write("u\tk\t4\n", to: "good")
    let bad = try directory.write(
      Array("u\ti\t4\nu\t".utf8) + [0xFF, 0xFE] + Array("\t4\n".utf8), to: "bad")
    let options = PreparationOptions(source: .split(train: bad, valid: good, test: good))
    let failure = try #require(
      failure { _ = try Preparation.run(options, output: directory.path + "/out") })
    #expect(failure.kind == .data)
    #expect(failure.message.hasPrefix("\(bad):2: the item id"))
    #expect(failure.message.contains("not valid UTF-8"))
    #expect(try directory.names() == ["bad", "good"])
  }

  @Test func missingFilesAreInputOutputErrors() throws {
    let directory = try TemporaryDirectory()
    let good = try directory.write("u\tk\t4\n", to: "good")
    let absent = directory.path + "/absent"
    let options = PreparationOptions(source: .split(train: good, valid: absent, test: good))
    let failure = try #require(
      failure { _ = try Preparation.run(options, output: directory.path + "/out") })
    #expect(failure.kind == .inputOutput)
    #expect(failure.message.contains(absent))
    #expect(try directory.names() == ["good"])
  }

  @Test(arguments: [0, 3, -4, 12, 8192])
  func shardsMustBeAPowerOfTwo(shards: Int) throws {
    let directory = try TemporaryDirectory()
    let failure = try #require(
      failure { _ = try ToyLog().prepare(in: directory, shards: shards) })
    #expect(failure.kind == .usage)
    #expect(failure.message.contains("\(shards)"))
  }

  @Test(arguments: [0, -0.5, 1.0001, .nan])
  func labelFractionsMustBeFractions(fraction: Double) throws {
    let directory = try TemporaryDirectory()
    let failure = try #require(
      failure { _ = try ToyLog().prepare(in: directory, labelFraction: fraction) })
    #expect(failure.kind == .usage)
  }

  @Test func thinningMustLeaveALabel() throws {
    let directory = try TemporaryDirectory()
    let failure = try #require(
      failure { _ = try ToyLog().prepare(in: directory, labelFraction: 1e-6) })
    #expect(failure.kind == .data)
    #expect(failure.message.contains("leaves none"))
    #expect(try directory.names() == ["test.tsv", "train.tsv", "valid.tsv"])
  }

  /// A label that thinning dropped is no training row any more, so its pair may be judged.
  @Test func leaksAreJudgedAfterThinning() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    log.train = (0..<10).map { Row("u", "i\($0)", 4) }
    log.valid = [Row("v", "i0", 4)]
    log.test = [Row("v", "i1", 4)]
    let kept = try log.prepare(in: directory, as: "a", shards: 1, labelFraction: 0.5).dataset
    let items = Set(try kept.rows(kept.shard(0).train).map(\.item))
    let dropped = try #require(log.train.first { !items.contains($0.item) })
    let stayed = try #require(items.first)
    log.valid = [Row("u", dropped.item, 4)]
    // A new item in valid would be appended to the dictionary, but the order of train decides.
    #expect(try log.prepare(in: directory, as: "b", labelFraction: 0.5).report.valid.rows == 1)
    log.valid = [Row("u", stayed, 4)]
    #expect(
      failure { _ = try log.prepare(in: directory, as: "c", labelFraction: 0.5) }?.kind == .data)
    log.valid = [Row("u", dropped.item, 4)]
    #expect(
      failure {
        _ = try log.prepare(in: directory, as: "d", labelFraction: 0.5, thinned: .exposure)
      }?.kind == .data)
  }

  @Test func anOutputInUseIsRefused() throws {
    let directory = try TemporaryDirectory()
    _ = try ToyLog().prepare(in: directory)
    let failure = try #require(failure { _ = try ToyLog().prepare(in: directory) })
    #expect(failure.kind == .usage)
    #expect(try Dataset.open(directory.path + "/dataset").trainRows > 0)
  }
}
