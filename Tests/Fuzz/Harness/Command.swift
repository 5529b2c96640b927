import ArgumentParser
import Foundation
import Storage
import Training

/// The command as far as configuration files ask for it: the options of training.
struct Inverse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inverse", subcommands: [Train.self])
}

struct Train: ParsableCommand {
  @Argument var dataset: String
  @OptionGroup var training: TrainingOptions
  @Option var config: String?
}

/// The YAML file of `--config`, through the argument parser to the checks of its values.
struct ConfigurationTarget: FuzzTarget {
  private let sandbox: Sandbox

  init(_ sandbox: Sandbox) { self.sandbox = sandbox }

  mutating func run(_ input: Input) throws {
    var input = input
    let isWhole = input.byte() % 8 == 0
    let path = try sandbox.write(input.rest, to: "options.yaml")
    let arguments = ["train", "data", "--config", path]
    try reading {
      // Asking the command for its options takes a hundred times as long.
      guard isWhole else { return _ = try ConfigurationFile.entries(path) }
      guard let file = try ConfigurationFile.read(for: arguments) else { return }
      do {
        let command = try Inverse.parseAsRoot(file.expanded(arguments))
        if let train = command as? Train { try train.training.resolved.validate() }
      } catch  where !(error is Failure) {
        // The parser's refusal, which the program prints as one line with its place.
        _ = file.place(blamedIn: Inverse.fullMessage(for: error))
      }
    }
  }
}
