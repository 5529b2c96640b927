import ArgumentParser
import Foundation
import Interactions
import Storage

extension ThinnedRows: ExpressibleByArgument {
  package static var allValueStrings: [String] { [drop, exposure].map(\.rawValue) }
}

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turns interaction logs into a sharded dataset.",
    discussion: """
      Logs hold one row per line: user, item, rating and perhaps a timestamp, separated by \
      tabs, commas, '::' or blanks, with or without a header. A row without a rating is an \
      exposure without reaction. Either three logs are given, or one that is split by \
      (user, item) pair.

      Example:
        inverse prepare --train train.tsv --valid valid.tsv --test test.tsv data
        inverse prepare --interactions ratings.dat --split 0.6,0.2,0.2 data
      """)

  @Argument(help: "The dataset directory to make.")
  var output: String
  @Option(help: ArgumentHelp("Training rows.", valueName: "file"))
  var train: String?
  @Option(help: ArgumentHelp("Validation rows: they choose the best epoch.", valueName: "file"))
  var valid: String?
  @Option(help: ArgumentHelp("Test rows: they are only reported.", valueName: "file"))
  var test: String?
  @Option(help: ArgumentHelp("One log to split, instead of three.", valueName: "file"))
  var interactions: String?
  @Option(
    help: ArgumentHelp(
      "Shares of train, valid and test, with --interactions; default: 0.6,0.2,0.2.",
      valueName: "x,x,x"))
  var split: String?
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
    let report = try Preparation.run(
      PreparationOptions(
        source: try source(), positiveFrom: positiveFrom, labelFraction: labelFraction,
        thinned: thinned, shards: shards, seed: seed),
      output: output)
    print(Self.table(report))
    for note in Self.notes(report) { print(note) }
    print("dataset written to \(output)")
  }

  private func source() throws(Failure) -> PreparationOptions.Source {
    if let interactions {
      guard train == nil, valid == nil, test == nil else {
        throw .usage("give either --interactions, or --train, --valid and --test, not both")
      }
      let parts = (split ?? "0.6,0.2,0.2").split(separator: ",", omittingEmptySubsequences: false)
      let fractions = parts.compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }
      guard fractions.count == 3, parts.count == 3 else {
        throw .usage("--split \(split ?? ""): expected three numbers, such as 0.6,0.2,0.2")
      }
      return .whole(interactions: interactions, fractions: fractions)
    }
    guard split == nil else { throw .usage("--split needs --interactions") }
    guard let train, let valid, let test else {
      throw .usage("give --train, --valid and --test, or --interactions")
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
    return notes
  }
}
