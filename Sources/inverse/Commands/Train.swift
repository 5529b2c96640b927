import ArgumentParser
import Evaluation
import Fabric
import Foundation
import Interactions
import Logging
import Storage
import Training

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a model on a dataset, on any number of ranks.",
    discussion: """
      The same dataset, options and seed give the same model bytes for every number of ranks. \
      SIGTERM, SIGINT or SIGUSR1 ends a run after the step, with a checkpoint and exit code 75; \
      --resume goes on, on any number of ranks, to the same bytes. Send SIGUSR1 to mpirun: it \
      passes that on to its ranks at once and waits for them.

      Example:
        inverse train data --output run --method ig --biases --weight-decay 1e-5
        mpirun -n 4 inverse train data --output run --method ig --resume
      """)

  @Argument(help: "A dataset made by prepare.")
  var dataset: String
  @Option(help: ArgumentHelp("The run directory to make.", valueName: "run"))
  var output: String
  @OptionGroup var training: TrainingOptions
  @Flag(help: "Go on with the run in --output from its newest checkpoint.")
  var resume = false
  @OptionGroup var stall: StallOption
  @OptionGroup var configuration: ConfigurationOption

  func run() throws {
    try training.resolved.validate()
    StopRequest.install()
    try withRanks(watch: stall.watch) { group in
      let agreement = StartAgreement(group: group)
      try agreement.requireSameProgram()
      try agreement.requireSameOptions(try startFacts())
      try group.position.enter(.read)
      var surroundings = Trainer.Surroundings(
        environment: JobEnvironment.describe(group, tables: training.tables.rawValue),
        log: Logger(label: "inverse") { _ in RankLogHandler(rank: group.rank) })
      surroundings.isResuming = resume
      surroundings.isStopRequested = { StopRequest.isPending }
      surroundings.showsProgress = isatty(STDERR_FILENO) == 1
      let run = RunDirectory(output)
      let dataset = try openDataset()
      try agreement.requireSameDataset(dataset.fingerprint, at: dataset.directory)
      let trainer = try Trainer(
        training.resolved, dataset: dataset, run: run, group: group,
        surroundings: surroundings)
      let result = try trainer.train()
      if group.rank == 0 { report(result, run) }
    }
  }

  /// What all ranks must have been started with; each may find the dataset elsewhere.
  private func startFacts() throws(Failure) -> [StartAgreement.Fact] {
    [
      .init(name: "the command", value: "train"), .init(name: "--output", value: output),
      .init(name: "--resume", value: "\(resume)"),
      .init(name: "--stall-timeout", value: "\(stall.stallTimeout)"),
    ] + (try StartAgreement.facts(of: training.resolved))
  }

  /// Refuses to learn from exposures that are not there: the run would quietly be another method's.
  private func openDataset() throws(Failure) -> Dataset {
    let opened = try Dataset.open(dataset)
    let needsExposures = training.unlabeledSource == .exposures && training.method != .bce
    guard !needsExposures || opened.exposureRows > 0 else {
      throw .usage(
        "--unlabeled-source exposures: \(dataset) has no unlabeled exposures; use sampled")
    }
    return opened
  }

  private func report(_ result: TrainingResult, _ run: RunDirectory) {
    print(MetricsTable.make([("valid", result.valid), ("test", result.test)]))
    let rankings = [("valid", result.valid), ("test", result.test)].compactMap { name, metrics in
      metrics.ranking.map { (name, $0.metrics) }
    }
    if !rankings.isEmpty {
      let cutoffs = Set(rankings.flatMap { $1.figures.keys }).sorted()
      print(RankingTable.make(rankings, cutoffs))
    }
    print(
      "best epoch \(result.bestEpoch) of \(result.epochs), "
        + "\(Int(result.rowsPerSecond)) rows/s on \(result.ranks) "
        + (result.ranks == 1 ? "rank" : "ranks"))
    print("model \(run.checkpointsPath)/best/model.safetensors")
    print("sha256 \(result.modelSHA256)")
  }
}
