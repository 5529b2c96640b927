import ArgumentParser
import Foundation
import Interactions
import Storage

extension ThinnedRows: ExpressibleByArgument {
  package static var allValueStrings: [String] { [drop, exposure].map(\.rawValue) }
}

extension LogFormat: ExpressibleByArgument {}
extension UnratedRows: ExpressibleByArgument {}

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turns interaction logs into a sharded dataset.",
    discussion: """
      Logs hold one row per line: user, item, rating and perhaps a timestamp, separated by \
      tabs, commas, '::' or blanks, with or without a header. A row without a rating is an \
      exposure without reaction, or with --unrated positive a positive reaction. With \
      --format adjacency a line holds a user and all items of that user. Either the splits \
      are given, valid perhaps left out, or one log is split: by (user, item) pair, or by \
      holding out each user's latest two rows.

      Example:
        inverse prepare --train train.tsv --valid valid.tsv --test test.tsv data
        inverse prepare --interactions ratings.dat --split 0.6,0.2,0.2 data
        inverse prepare --interactions ratings.dat --split leave-one-out data
        inverse prepare --format adjacency --train train.txt --test test.txt data
      """)

  @Argument(help: "The dataset directory to make.")
  var output: String
  @Option(help: ArgumentHelp("Training rows.", valueName: "file"))
  var train: String?
  @Option(
    help: ArgumentHelp(
      "Validation rows: they choose the best epoch. Without them, the last epoch is the best.",
      valueName: "file"))
  var valid: String?
  @Option(help: ArgumentHelp("Test rows: they are only reported.", valueName: "file"))
  var test: String?
  @Option(help: ArgumentHelp("One log to split, instead of three.", valueName: "file"))
  var interactions: String?
  @Option(
    help: ArgumentHelp(
      """
      With --interactions: shares of train, valid and test, or leave-one-out: of each user with \
      three labeled rows or more, the latest goes to test and the one before to valid; by \
      timestamp, or by place in the file where there is none. (default: 0.6,0.2,0.2)
      """, valueName: "shares"))
  var split: String?
  @Option(
    help:
      "Lines of the logs: log (user, item, rating, timestamp), or adjacency (user, item, item, …).")
  var format = LogFormat.log
  @Option(
    help: ArgumentHelp(
      """
      What a row without a rating is: exposure (without reaction), or positive. (default: \
      positive with --format adjacency, else exposure)
      """))
  var unrated: UnratedRows?
  @Flag(
    help: """
      Keep the order of each user's positive training rows in time, for models of sequences; always \
      with --split leave-one-out.
      """)
  var sequences = false
  @Flag(help: "Accept test pairs that are also in valid. (Never those that are in train.)")
  var allowOverlap = false
  @Option(help: ArgumentHelp("A rating of at least this is positive.", valueName: "rating"))
  var positiveFrom: Double = 3
  @Option(
    help: ArgumentHelp(
      "Share of training labels to keep, above 0, at most 1; valid and test stay whole.",
      valueName: "x"))
  var labelFraction: Double = 1
  @Option(help: "What becomes of the other labels' rows: drop, or exposure (without reaction).")
  var thinned = ThinnedRows.drop
  @Option(
    help: ArgumentHelp(
      "Shards, a power of two: the most ranks that can train on it.", valueName: "n"))
  var shards: Int = 16
  @Option(help: ArgumentHelp("Seed of splitting and thinning.", valueName: "n"))
  var seed: UInt64 = 1
  @OptionGroup var configuration: ConfigurationOption

  func run() throws {
    try requireSingleProcess("prepare")
    let source = try source()
    var options = PreparationOptions(
      source: source, positiveFrom: positiveFrom, labelFraction: labelFraction,
      thinned: thinned, shards: shards, seed: seed)
    options.format = format
    options.unrated = unrated ?? (format == .adjacency ? .positive : .exposure)
    options.keepsSequences = sequences
    if case .leaveOneOut = source { options.keepsSequences = true }
    options.allowsOverlap = allowOverlap
    let report = try Preparation.run(options, output: output)
    print(Self.table(report))
    for note in Self.notes(report) { print(note) }
    print("dataset written to \(output)")
  }

  private func source() throws(Failure) -> PreparationOptions.Source {
    if let interactions {
      guard train == nil, valid == nil, test == nil else {
        throw .usage("give either --interactions, or --train, --valid and --test, not both")
      }
      if split == "leave-one-out" { return .leaveOneOut(interactions: interactions) }
      let parts = (split ?? "0.6,0.2,0.2").split(separator: ",", omittingEmptySubsequences: false)
      let fractions = parts.compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }
      guard fractions.count == 3, parts.count == 3 else {
        throw .usage(
          "--split \(split ?? ""): expected three numbers, such as 0.6,0.2,0.2, or leave-one-out")
      }
      return .whole(interactions: interactions, fractions: fractions)
    }
    guard split == nil else { throw .usage("--split needs --interactions") }
    guard let train, let test else {
      throw .usage(
        "give --train, --valid and --test, or --interactions; only --valid may be absent")
    }
    return .split(train: train, valid: valid, test: test)
  }

  private static func table(_ report: PreparationReport) -> TextTable {
    let splits = [("train", report.train), ("valid", report.valid), ("test", report.test)]
    return TextTable(
      columns: [
        .left("split"), .right("rows"), .right("positive"), .right("users unknown to train"),
        .right("items unknown to train"),
      ],
      rows: splits.map { name, split in
        let share = split.rows > 0 ? Double(split.positives) / Double(split.rows) : 0
        return [
          name, "\(split.rows)", String(format: "%.1f %%", 100 * share),
          "\(split.usersUnknownToTrain)", "\(split.itemsUnknownToTrain)",
        ]
      })
  }

  private static func notes(_ report: PreparationReport) -> [String] {
    var notes = [
      "\(report.users) users, \(report.items) items, \(report.exposures) unlabeled exposures, "
        + "\(report.shards) shards (fullest \(String(format: "%.3f", report.imbalance)) × the mean)"
    ]
    if report.thinned > 0 { notes.append("thinned: \(report.thinned) training labels taken away") }
    if report.repeatedPairs > 0 {
      notes.append(
        "repeated in train: \(report.repeatedPairs) pairs, \(report.conflictingPairs) of them with "
          + "both labels; every row is kept")
    }
    if report.withheldExposures > 0 {
      notes.append("withheld: \(report.withheldExposures) exposures of pairs in valid or test")
    }
    if report.withheldLabels > 0 {
      notes.append("withheld: \(report.withheldLabels) earlier labels of pairs in valid or test")
    }
    if report.overlappingRows > 0 {
      notes.append("overlap: \(report.overlappingRows) rows of test are pairs of valid")
    }
    if report.valid.rows == 0 { notes.append("no rows of valid: the last epoch will be the best") }
    return notes
  }
}
