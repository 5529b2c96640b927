import ArgumentParser
import CProcessor
import Foundation
import Storage

/// Where the process starts: checks the processor, completes the arguments, runs a command and
/// turns what it threw into one line and an exit code.
@main
enum Program {
  static func main() {
    // Before anything vectorised runs: an illegal instruction would say nothing.
    let missing = unsafe String(cString: inverse_missing_processor_features())
    guard missing.isEmpty else {
      exit(.software("this processor lacks \(missing), which the program is built for"))
    }
    // A file that may not grow any more is an error of writing it, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    MappedFile.reportFaults()
    var configuration: ConfigurationFile?
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      configuration = try ConfigurationFile.read(for: arguments)
      var command = try Inverse.parseAsRoot(configuration?.expanded(arguments) ?? arguments)
      try command.run()
    } catch {
      switch Inverse.exitCode(for: error) {
      case .success: exit(printing: error)
      case .validationFailure: exit(usage: error, configuration)
      default: exit(Failure(reporting: error))
      }
    }
  }

  /// Ends this process with what was asked for: help or the version.
  private static func exit(printing request: any Error) -> Never {
    if !LaunchEnvironment.isFirstRank { Foundation.exit(0) }
    Inverse.exit(withError: request)
  }

  /// Ends this process because of the command line, in the words of the argument parser.
  private static func exit(usage error: any Error, _ configuration: ConfigurationFile?) -> Never {
    var text = Inverse.fullMessage(for: error)
    if text.hasPrefix(parserPrefix) { text.removeFirst(parserPrefix.count) }
    if let place = configuration?.place(blamedIn: text) { text = "\(place): \(text)" }
    exit(.usage(text))
  }

  /// What the argument parser puts before a message; ours is put instead.
  private static let parserPrefix = "Error: "

  /// Ends this process, outside of MPI, with one line on the standard error stream.
  private static func exit(_ failure: Failure) -> Never {
    LaunchEnvironment.letFirstRankSpeak()
    // A requested stop came to all ranks, and the first has said so.
    if failure.kind != .interrupted || LaunchEnvironment.isFirstRank {
      FileHandle.standardError.write(Data("inverse: error: \(failure.message)\n".utf8))
    }
    Foundation.exit(failure.kind.rawValue)
  }
}

/// The command with its subcommands.
struct Inverse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inverse",
    abstract: "Trains recommenders from few explicit reactions and a sea of unlabeled exposures.",
    discussion: """
      On one process or on many MPI ranks, with the same bytes for any number of them. \
      Implements Inverse Dual Loss and Inverse Gradient (Lin et al., WSDM 2024).

      Example:
        inverse synthesize feed
        cd feed
        inverse prepare --train train.tsv --valid valid.tsv --test test.tsv data
        mpirun -n 4 inverse train data --output run --method ig
        inverse evaluate run --top-k 10,20

      Exit codes:
        0   done
        64  wrong usage
        65  bad data
        69  a rank fell silent, or the others waited too long; --resume goes on
        70  the numbers went astray, or an internal error
        74  input or output failed
        75  stopped on request; --resume goes on
      """,
    version: ProgramVersion.current,
    subcommands: [Synthesize.self, Prepare.self, Train.self, Evaluate.self])
}

/// The version of the program, as in files and `--version`.
enum ProgramVersion {
  static let current = "0.1.0"
}

/// The option every command has.
struct ConfigurationOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A YAML file that sets any of these options by its long name; options given here win.",
      valueName: "file"))
  var config: String?
}
