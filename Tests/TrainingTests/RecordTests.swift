import Evaluation
import Foundation
import Storage
import Testing
import Training

@Suite struct ProgressBarTests {
  @Test func aLineSaysHowFarTrainingIs() {
    #expect(
      ProgressBar.line(
        epoch: 3, epochs: 20, rowsDone: 250, rowsTotal: 1000, rowsPerSecond: 62.5)
        == "epoch 3/20 [======                  ]  25 %  62 rows/s  0:12 left")
    #expect(
      ProgressBar.line(
        epoch: 1, epochs: 1, rowsDone: 0, rowsTotal: 1_000_000, rowsPerSecond: 0)
        == "epoch 1/1 [                        ]   0 %  0 rows/s  0:00 left")
    #expect(
      ProgressBar.line(
        epoch: 2, epochs: 2, rowsDone: 10_000_000, rowsTotal: 10_000_000, rowsPerSecond: 1.926e6)
        == "epoch 2/2 [========================] 100 %  1.93 M rows/s  0:00 left")
  }

  /// The line keeps its length while the share grows, and never overflows its bar.
  @Test func theBarKeepsItsPlace() {
    var lengths = Set<Int>()
    for rows in 0...1001 {
      let line = ProgressBar.line(
        epoch: 1, epochs: 1, rowsDone: rows, rowsTotal: 1000, rowsPerSecond: 1e9)
      lengths.insert(line.count)
    }
    #expect(lengths.count == 1)
    #expect(
      ProgressBar.line(epoch: 1, epochs: 1, rowsDone: 0, rowsTotal: 0, rowsPerSecond: 1)
        .contains("  0 %"))
  }

  /// Logs get a line a minute, counted from the last one, whoever said it.
  @Test func linesAreSaidOnceAMinute() {
    var said: [String] = []
    let start = ContinuousClock.now
    var bar = ProgressBar(.lines { said.append($0) }, rowsDone: 100, now: start)
    func update(_ second: Int, rowsDone: Int) {
      bar.update(
        epoch: 2, epochs: 8, rowsDone: rowsDone, rowsTotal: 8000, now: start + .seconds(second))
    }
    update(1, rowsDone: 200)
    update(59, rowsDone: 900)
    #expect(said.isEmpty)
    update(60, rowsDone: 1000)
    update(61, rowsDone: 1010)
    #expect(said == ["epoch 2/8  13 % of all  15 rows/s  7:47 left"])
    bar.clear(now: start + .seconds(100))
    update(159, rowsDone: 2000)
    #expect(said.count == 1)
    update(160, rowsDone: 2500)
    #expect(said.last == "epoch 2/8  31 % of all  15 rows/s  6:07 left")
  }

  @Test func ratesAndTimesAreRounded() {
    #expect(ProgressBar.rate(312.4) == "312")
    #expect(ProgressBar.rate(45_123) == "45.1 k")
    #expect(ProgressBar.rate(12_345_678) == "12.35 M")
    #expect(ProgressBar.duration(6.2) == "0:07")
    #expect(ProgressBar.duration(750) == "12:30")
    #expect(ProgressBar.duration(3 * 3600 + 5 * 60) == "3:05:00")
    #expect(ProgressBar.duration(0) == "0:00")
  }
}

@Suite struct EventFileTests {
  /// RFC 3720, appendix B.4, and the usual check value.
  @Test func checksumsAreThoseOfCastagnoli() {
    #expect(EventFile.castagnoli(Array("123456789".utf8)) == 0xE306_9283)
    #expect(EventFile.castagnoli([]) == 0)
    #expect(EventFile.castagnoli([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(EventFile.castagnoli([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(EventFile.castagnoli((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    // Rotated by 15 and shifted: 0xE3069283 becomes 0x2507C60D, plus 0xA282EAD8.
    #expect(EventFile.maskedChecksum(Array("123456789".utf8)) == 0xC78A_B0E5)
  }

  private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe Array($0) }
  }

  /// Length, its checksum, the message, its checksum.
  @Test func recordsAreFramed() {
    let record = EventFile.record(Array("123456789".utf8))
    #expect(record.prefix(8) == [9, 0, 0, 0, 0, 0, 0, 0])
    #expect(
      Array(record[8..<12])
        == littleEndian(EventFile.maskedChecksum([9, 0, 0, 0, 0, 0, 0, 0])))
    #expect(Array(record[12..<21]) == Array("123456789".utf8))
    #expect(Array(record[21...]) == [0xE5, 0xB0, 0x8A, 0xC7])
    #expect(EventFile.record([]).count == 16)
  }

  /// A whole file, its messages encoded by hand: field numbers and wire types are TensorFlow's.
  @Test func filesHoldEventsAsTensorBoardReadsThem() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/events"
    try Files.createDirectory(path)
    _ = try directory.write("of a dead process", to: "events/events.out.tfevents.7.inverse")
    _ = try directory.write("something else", to: "events/notes.txt")
    let file = try EventFile(directory: path, time: 1234.5)
    try file.append([("valid/auc", 0.75)], step: 300, time: 2)
    #expect(try Files.names(in: path) == ["events.out.tfevents.1234.inverse", "notes.txt"])
    func field(_ number: UInt8, _ wire: UInt8) -> UInt8 { number << 3 | wire }
    func double(_ value: Double) -> [UInt8] { littleEndian(value.bitPattern) }
    let version = Array("brain.Event:2".utf8)
    let first = [field(1, 1)] + double(1234.5) + [field(3, 2), 13] + version
    let tag = Array("valid/auc".utf8)
    let value =
      [field(1, 2), 9] + tag + [field(2, 5)] + littleEndian(Float(0.75).bitPattern)
    let summary = [field(1, 2), UInt8(value.count)] + value
    // 300 as a varint is 0xAC 0x02.
    let second =
      [field(1, 1)] + double(2) + [field(2, 0), 0xAC, 0x02]
      + [field(5, 2), UInt8(summary.count)] + summary
    #expect(
      try Files.read("\(path)/events.out.tfevents.1234.inverse")
        == EventFile.record(first) + EventFile.record(second))
  }
}

@Suite struct RunDirectoryTests {
  private static func setup() -> RunDirectory.Setup {
    RunDirectory.Setup(
      dataset: "data", datasetFingerprint: "f", training: TrainingConfiguration())
  }

  @Test func aNewRunCanBeReadBack() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path + "/parent/run//")
    #expect(run.path == directory.path + "/parent/run" && !run.exists)
    try run.create(Self.setup())
    #expect(run.exists)
    #expect(try run.setup() == Self.setup())
    #expect(try run.result() == nil)
  }

  @Test func whatIsThereIsNotOverwritten() throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("mine", to: "thesis.txt")
    let run = RunDirectory(directory.path)
    #expect(
      failure { try run.create(Self.setup()) }
        == .usage(
          "\(directory.path) already holds a run or other files; add --resume to go on with it, "
            + "or choose another --output"))
    #expect(try Files.names(in: directory.path) == ["thesis.txt"])
  }

  @Test func aRunOfANewerProgramIsRefused() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path + "/run")
    var setup = Self.setup()
    setup.version = 2
    try run.create(setup)
    #expect(
      failure { _ = try run.setup() }
        == .data(
          "\(run.configurationPath): version 2 is newer than this program understands (1); "
            + "use a newer program"))
  }

  @Test func somethingElseIsNotARun() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path)
    #expect(
      failure { _ = try run.setup() }
        == .data("\(directory.path) is not a run directory: configuration.json is missing"))
    _ = try directory.write("{\"dataset\": 3}", to: "configuration.json")
    _ = try directory.write("{", to: "result.json")
    for read in [{ _ = try run.setup() }, { _ = try run.result() }] {
      let damage = failure(read)
      #expect(damage?.kind == .data)
      #expect(damage?.message.contains("is damaged or of another version") == true)
      #expect(damage?.message.contains("\n") == false)
    }
  }
}

@Suite struct TrainingStateTests {
  /// Every `Double` survives, also those that a short decimal form would change.
  @Test func stateSurvivesItsFileExactly() throws {
    var configuration = TrainingConfiguration.brief(.ig)
    configuration.rate = 0.1 + 0.2
    configuration.innerShare = 1.0 / 3
    configuration.seed = .max
    var state = TrainingState(configuration, datasetFingerprint: "abc")
    var draws = Draws(seed: 8)
    for value: Double in [.leastNonzeroMagnitude, .leastNormalMagnitude, 1e300, .pi, 0.1] {
      var record = StepRecord()
      record.labeledLoss = value
      record.unlabeledLoss = Double(bitPattern: draws.word() >> 2)
      record.labeledRows = 3
      record.unlabeledRows = 4
      record.decision = [.direct, Decision.none, .inverse, nil][draws.integer(below: 4)]
      state.record(record)
      state.seconds += 1.0 / 3
      let bytes = try RunDirectory.encode(state, pretty: true)
      #expect(try RunDirectory.decode(bytes, "state.json") == state)
    }
    let metrics = LabeledMetrics(
      auc: 1.0 / 3, gauc: nil, logLoss: .infinity, ndcg: [10: 0.7], mrr: 2.0 / 3, users: 3,
      rows: 9, positives: 4)
    let line = """
      {"epoch": 1, "step": 5, "labeled_loss": 0.30000000000000004, "is_best": true,
       "decisions": {"direct": 1, "none": 2, "inverse": 3}, "valid": {"users": 3, "rows": 9},
       "time": 1700000000.3333333, "rows_per_second": 1e6}
      """
    var record: EpochRecord = try RunDirectory.decode(Array(line.utf8), "metrics.jsonl")
    #expect(record.labeledLoss == 0.1 + 0.2 && record.unlabeledLoss == nil)
    record.valid = ReportedMetrics(metrics)
    state.history.append(record)
    _ = state.best.record(epoch: 1, metrics: metrics)
    var written = state
    // What is infinite has no form in JSON and is left undefined.
    written.history[0].valid?.logLoss = nil
    let bytes = try RunDirectory.encode(state, pretty: true)
    let read: TrainingState = try RunDirectory.decode(bytes, "state.json")
    #expect(read == written)
  }

  @Test func stepsAddUp() {
    var state = TrainingState(TrainingConfiguration.brief(.ig), datasetFingerprint: "")
    for decision in [Decision.direct, .inverse, .inverse, nil] {
      var record = StepRecord()
      record.labeledRows = 10
      record.labeledLoss = 0.5
      record.unlabeledRows = 20
      record.unlabeledLoss = 0.25
      record.decision = decision
      state.record(record)
    }
    #expect(state.number == 4 && state.step == 4 && state.rowsDone == 40)
    #expect(state.labeledLoss == 2 && state.unlabeledLoss == 1 && state.unlabeledRows == 80)
    #expect(state.decisions.direct == 1 && state.decisions.inverse == 2)
    #expect(state.decisions.none == 0 && state.epochDecisions == state.decisions)
    state.beginNextEpoch()
    #expect(state.epoch == 1 && state.step == 0 && state.number == 4 && state.rowsDone == 40)
    #expect(state.labeledRows == 0 && state.labeledLoss == 0 && state.decisions.inverse == 2)
    #expect(state.epochDecisions == DecisionCounts())
    #expect(state.rowsPerSecond == 0)
    state.seconds = 8
    #expect(state.rowsPerSecond == 5)
  }
}
