import ArgumentParser
import Interactions
import Storage

/// The sizes of simulated feeds.
enum SynthesisPreset: String, ExpressibleByArgument, CaseIterable {
  case quick, feed
}

struct Synthesize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a simulated short-video feed whose truth is known.",
    discussion: """
      Users meet items in proportion to taste and popularity; a small share of the exposures \
      gets a reaction (rating 5 or 1), some of them wrong; the rest stays unlabeled. Writes \
      train.tsv, valid.tsv, test.tsv and, for the unlabeled exposures, truth.tsv.

      Example:
        inverse synthesize feed --preset quick --label-fraction 0.05 --seed 7
      """)

  @Argument(help: "The directory to make.")
  var output: String
  @Option(help: "quick: 2,000 users, 200,000 exposures. feed: 50,000 users, 5 million exposures.")
  var preset = SynthesisPreset.quick
  @Option(help: ArgumentHelp("Users; default: the preset's.", valueName: "n"))
  var users: Int?
  @Option(help: ArgumentHelp("Items; default: the preset's.", valueName: "n"))
  var items: Int?
  @Option(help: ArgumentHelp("Exposures in all; default: the preset's.", valueName: "n"))
  var interactions: Int?
  @Option(
    help: ArgumentHelp(
      "Share of exposures with a reaction, above 0, at most 1; default: the preset's.",
      valueName: "x"))
  var labelFraction: Double?
  @Option(
    help: ArgumentHelp(
      "Probability that a reaction in train is wrong, in [0, 0.5); default: the preset's.",
      valueName: "x"))
  var noise: Double?
  @Option(help: ArgumentHelp("Seed; the same seed gives the same files.", valueName: "n"))
  var seed: UInt64 = 1
  @OptionGroup var configuration: ConfigurationOption

  func run() throws {
    try requireSingleProcess("synthesize")
    var options = preset == .quick ? SynthesisOptions.quick : .feed
    options.users = users ?? options.users
    options.items = items ?? options.items
    options.interactions = interactions ?? options.interactions
    options.labelFraction = labelFraction ?? options.labelFraction
    options.noise = noise ?? options.noise
    options.seed = seed
    let report = try Synthesis.run(options, output: output)
    print(
      TextTable(
        columns: [.left("file"), .right("rows"), .left("content")],
        rows: [
          [
            "train.tsv", "\(report.trainRows + report.exposureRows)",
            "\(report.trainRows) reactions, \(report.exposureRows) unlabeled exposures",
          ],
          ["valid.tsv", "\(report.validRows)", "reactions without noise"],
          ["test.tsv", "\(report.testRows)", "reactions without noise"],
          ["truth.tsv", "\(report.exposureRows)", "what the unlabeled exposures would have got"],
        ]))
    print("written to \(output)")
  }
}
