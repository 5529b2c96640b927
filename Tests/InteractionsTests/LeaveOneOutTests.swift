import Interactions
import Storage
import Testing

@Suite struct LeaveOneOutTests {
  /// A row with a rating, or `nil`, and a timestamp, or `nil`.
  struct Event {
    var user: String
    var item: String
    var rating: Int?
    var time: String?

    init(_ user: String, _ item: String, _ rating: Int? = 5, at time: String? = nil) {
      self.user = user
      self.item = item
      self.rating = rating
      self.time = time
    }

    var line: String {
      "\(user)\t\(item)\t\(rating.map { "\($0)" } ?? "")\t\(time ?? "")\n"
    }
  }

  func prepare(
    _ events: [Event], in directory: TemporaryDirectory, as name: String = "out", shards: Int = 2,
    _ change: (inout PreparationOptions) -> Void = { _ in }
  ) throws -> (report: PreparationReport, dataset: Dataset) {
    let log = try directory.write(events.map(\.line).joined(), to: "log")
    var options = PreparationOptions(source: .leaveOneOut(interactions: log), shards: shards)
    options.keepsSequences = true
    change(&options)
    let output = "\(directory.path)/\(name)"
    return (try Preparation.run(options, output: output), try Dataset.open(output))
  }

  /// The items of a split by user, in the order of the dataset.
  func items(
    _ dataset: Dataset, _ split: KeyPath<Shard, LabeledColumns>
  ) throws -> [String: [String]] {
    var items: [String: [String]] = [:]
    for shard in try dataset.allShards() {
      for row in try dataset.rows(shard[keyPath: split]) {
        items[row.user, default: []].append(row.item)
      }
    }
    return items
  }

  @Test func theLatestRowsAreHeldOut() throws {
    let directory = try TemporaryDirectory()
    let (report, dataset) = try prepare(
      [
        // By timestamp, against the order of the file; -1 is before 0.5 is before 1e1.
        Event("a", "p", at: "1e1"), Event("a", "q", at: "-1"), Event("a", "r", at: "0.5"),
        Event("a", "s", at: "3"),
        // At the same time, and without one, by the order of the file.
        Event("b", "p", at: "7"), Event("b", "q", at: "7"), Event("b", "r", at: "7"),
        Event("c", "r"), Event("c", "q"), Event("c", "p"), Event("c", "s"),
        // Too few, and too few with a reaction.
        Event("d", "p"), Event("d", "q"),
        Event("e", "p"), Event("e", "q", nil), Event("e", "r"),
        // A row without a timestamp is before one with.
        Event("f", "p", at: "1"), Event("f", "q", at: "2"), Event("f", "r"),
        // Negative reactions are held out like others.
        Event("g", "p", 1), Event("g", "q", 5), Event("g", "r", 1),
      ], in: directory)
    #expect(
      try items(dataset, \.test) == [
        "a": ["p"], "b": ["r"], "c": ["s"], "f": ["q"], "g": ["r"],
      ])
    #expect(
      try items(dataset, \.valid) == [
        "a": ["s"], "b": ["q"], "c": ["p"], "f": ["p"], "g": ["q"],
      ])
    #expect(
      try items(dataset, \.train) == [
        "a": ["q", "r"], "b": ["p"], "c": ["r", "q"], "d": ["p", "q"], "e": ["p", "r"], "f": ["r"],
        "g": ["p"],
      ])
    #expect(report.exposures == 1)
    #expect(report.withheldLabels == 0)
    #expect(dataset.manifest.version == 2)
    #expect(dataset.manifest.rule.split == .leaveOneOut)
  }

  /// A pair that is judged is new: what the user did with the item before is left out.
  @Test func repeatedPairsAreHeldOutWhole() throws {
    let directory = try TemporaryDirectory()
    let (report, dataset) = try prepare(
      [
        Event("a", "p"), Event("a", "p", nil), Event("a", "q"), Event("a", "r"), Event("a", "q"),
        Event("a", "q"),
        // The latest two rows are of one item.
        Event("b", "p"), Event("b", "q"), Event("b", "q"),
        // And here all rows.
        Event("c", "p"), Event("c", "p"), Event("c", "p"),
        // Out of order: q at 9 comes after q at 4 and before p at 5.
        Event("d", "q", at: "9"), Event("d", "p", at: "5"), Event("d", "q", at: "4"),
        Event("d", "r", at: "1"), Event("d", "r", nil, at: "2"),
      ], in: directory)
    #expect(try items(dataset, \.test) == ["a": ["q"], "b": ["q"], "d": ["q"]])
    #expect(try items(dataset, \.valid) == ["a": ["r"], "b": ["p"], "d": ["p"]])
    #expect(try items(dataset, \.train) == ["a": ["p"], "c": ["p", "p", "p"], "d": ["r"]])
    #expect(report.withheldLabels == 4)
    #expect(report.withheldExposures == 0)
    #expect(report.exposures == 2)
  }

  /// Against a plain implementation on rows in any order, with thinning and any number of shards.
  @Test(arguments: [1, 4], [false, true])
  func manyRowsAgreeWithBruteForce(shards: Int, isTimed: Bool) throws {
    let directory = try TemporaryDirectory()
    var events: [Event] = []
    for row in 0..<3_000 {
      let time = isTimed ? "\(row * 7919 % 500)" : nil
      events.append(
        Event("u\(row * row % 83)", "i\(row * 31 % 997)", row % 11 == 0 ? nil : 3, at: time))
    }
    let dataset = try prepare(events, in: directory, shards: shards) { $0.positiveFrom = 2 }.dataset
    var expected: [[String: [String]]] = [[:], [:]]
    for (user, rows) in Dictionary(grouping: events.enumerated(), by: { $1.user }) {
      let labeled = rows.filter { $0.element.rating != nil }.sorted { first, second in
        let times = [first, second].map { Int($0.element.time ?? "0") ?? 0 }
        return times[0] != times[1] ? times[0] < times[1] : first.offset < second.offset
      }.map(\.element.item)
      guard labeled.count >= 3, let last = labeled.last,
        let other = labeled.last(where: { $0 != last })
      else { continue }
      expected[0][user] = [last]
      expected[1][user] = [other]
    }
    #expect(expected[0].count > 40)
    #expect(try items(dataset, \.test) == expected[0])
    #expect(try items(dataset, \.valid) == expected[1])
  }

  @Test func thinningTouchesOnlyTrain() throws {
    let directory = try TemporaryDirectory()
    let events = (0..<40).flatMap { user in (0..<12).map { Event("u\(user)", "i\($0)") } }
    let (report, dataset) = try prepare(events, in: directory) { $0.labelFraction = 0.25 }
    #expect(report.valid.rows == 40)
    #expect(report.test.rows == 40)
    #expect(report.train.rows == 100)
    #expect(report.thinned == 300)
    #expect(try items(dataset, \.test).values.allSatisfy { $0 == ["i11"] })
  }

  @Test(arguments: [
    ("u\ti\t5\t12:30\nu\tj\t5\t1\n", ":1: ", "timestamp '12:30' is not a finite number"),
    ("u\ti\t5\t1\nu\tj\t5\tinf\n", ":2: ", "timestamp 'inf' is not a finite number"),
    ("u\ti\t5\t1\nu\tj\t5\t2\n", ": ", "leave-one-out needs users with at least three"),
    ("u\ti\nu\tj\nu\tk\n", ": ", "leave-one-out needs users with at least three"),
  ])
  func badTimesLeaveNothingBehind(text: String, place: String, message: String) throws {
    let directory = try TemporaryDirectory()
    let log = try directory.write(text, to: "log")
    let options = PreparationOptions(source: .leaveOneOut(interactions: log))
    let failure = try #require(
      failure { _ = try Preparation.run(options, output: directory.path + "/out") })
    #expect(failure.kind == .data)
    #expect(failure.message.contains("log\(place)"), "\(failure)")
    #expect(failure.message.contains(message), "\(failure)")
    #expect(try directory.names() == ["log"])
  }

  /// Where nothing asks for an order, timestamps are still not looked at.
  @Test func timesThatNobodyNeedsMayBeAnything() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.write("u\ti\t5\tMonday\nu\tj\t5\t\n", to: "log")
    let other = try directory.write("u\tk\t5\n", to: "other")
    let last = try directory.write("u\tl\t5\n", to: "last")
    var options = PreparationOptions(source: .split(train: log, valid: other, test: last))
    #expect(try Preparation.run(options, output: directory.path + "/a").train.rows == 2)
    options.keepsSequences = true
    #expect(
      failure { _ = try Preparation.run(options, output: directory.path + "/b") }?.message.contains(
        "/log:1: timestamp 'Monday'") == true)
  }
}
