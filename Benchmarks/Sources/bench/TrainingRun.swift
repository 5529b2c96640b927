import Foundation
import Measuring
import Storage

/// One run of `inverse train`, measured from outside.
struct TrainingRun {
  var dataset: String
  var method = "bce"
  var factors = 32
  var batch = 8192
  var epochs = 4
  var ranks = 1
  /// Further options of `inverse train`.
  var options: [String] = []

  /// What a run came to.
  struct Outcome {
    let cost: ProcessCost
    /// Labeled rows per second of training, evaluation and checkpoints left out.
    let rowsPerSecond: Double
    /// Seconds per phase over the whole run, if the program reports them.
    let phases: [String: Double]?
    /// Of the model and of the optimizer's state, as the last checkpoint holds them.
    let parameterBytes: Int
    let stateBytes: Int
  }

  /// The part of `result.json` that is read here.
  private struct Result: Decodable {
    let rowsPerSecond: Double
    let phases: [String: Double]?

    enum CodingKeys: String, CodingKey {
      case phases
      case rowsPerSecond = "rows_per_second"
    }
  }

  /// Runs it in a directory of its own, which is removed afterwards.
  func run(_ session: Session) throws -> Outcome {
    let directory = session.freshPath("run")
    defer { try? Files.remove(directory) }
    let launcher = ranks == 1 ? [] : ["mpirun", "-n", "\(ranks)"]
    let cost = try ChildProcess.run(
      launcher + [
        session.options.inverse, "train", dataset, "--output", directory, "--method", method,
        "--factors", "\(factors)", "--batch", "\(batch)", "--epochs", "\(epochs)", "--patience",
        "0",
      ] + options)
    let path = "\(directory)/result.json"
    let result: Result
    do {
      result = try JSONDecoder().decode(Result.self, from: Data(try Files.read(path)))
    } catch {
      throw Failure.data("\(path) does not hold what a run writes there: \(error)")
    }
    let checkpoints = "\(directory)/checkpoints"
    let last = try Files.names(in: checkpoints).filter { $0.hasPrefix("step-") }.max()
    return Outcome(
      cost: cost, rowsPerSecond: result.rowsPerSecond, phases: result.phases,
      parameterBytes: Files.size(of: "\(checkpoints)/best/model.safetensors") ?? 0,
      stateBytes: last.flatMap { Files.size(of: "\(checkpoints)/\($0)/optimizer.safetensors") } ?? 0
    )
  }
}
