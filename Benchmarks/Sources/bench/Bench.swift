import ArgumentParser
import Measuring
import Storage

@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures what inverse makes of the machine it runs on.",
    subcommands: [Run.self, Draw.self],
    defaultSubcommand: Run.self)
}

/// What can be measured on its own; `benchmarks.json` names measurements by it.
enum SuiteName: String, ExpressibleByArgument, CaseIterable {
  // In the order of running: what reads the peak memory of other programs comes before what makes
  // this one large.
  case memory, preparation, training, phases, scaling, order, machine, kernels, evaluation, tables
  case peers
}

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs suites, prints their tables and saves benchmarks.json and pictures.")

  @Argument(help: "The suites to run; default: all, and peers only with --peers.")
  var suites: [SuiteName] = []
  @Flag(help: "Fewer sizes and repetitions.")
  var quick = false
  @Option(help: ArgumentHelp("Where results go.", valueName: "directory"))
  var output = "benchmarks"
  @Option(help: ArgumentHelp("The release build of inverse.", valueName: "program"))
  var inverse: String
  @Option(
    help: ArgumentHelp(
      "Holds ml-1m/train.tsv, valid.tsv and test.tsv; default: a simulated log of that size.",
      valueName: "directory"))
  var data: String?
  @Option(help: ArgumentHelp("The working copy, for the commit.", valueName: "directory"))
  var source = "."
  @Option(help: ArgumentHelp("Python with torch and numpy, for peers.", valueName: "program"))
  var python: String?
  @Option(help: ArgumentHelp("LIBMF's mf-train, for peers.", valueName: "program"))
  var libmf: String?

  func run() throws {
    let session = try Session(
      Session.Options(
        isQuick: quick, output: output, inverse: inverse, data: data, source: source,
        python: python, libmf: libmf))
    session.printHead()
    var chosen = suites.isEmpty ? SuiteName.allCases : SuiteName.allCases.filter(suites.contains)
    if suites.isEmpty, python == nil, libmf == nil { chosen.removeAll { $0 == .peers } }
    for suite in chosen { session.run(suite) }
    try session.finish()
  }
}

struct Draw: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws the pictures of a saved report again.")

  @Argument(help: "A benchmarks.json.")
  var report: String

  func run() throws {
    try Pictures.draw(try Report.read(report), into: Files.parent(of: report))
  }
}
