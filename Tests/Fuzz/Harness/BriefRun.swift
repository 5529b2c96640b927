import Fabric
import Interactions
import Logging
import Storage
import Training

/// Runs of some steps, alone.
enum BriefRun {
  private static let backbones: [BackboneName] = [.gmf, .sasrec, .lightgcn, .pinsage]
  private static let methods: [Method] = [.ig, .bpr, .bce, .tce]

  /// The smallest configuration of a family and a method.
  static func configuration(_ choice: Int) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.backbone = backbones[choice & 3]
    configuration.method = configuration.backbone == .sasrec ? .negatives : methods[choice >> 2 & 3]
    if choice >> 4 & 1 == 1, configuration.backbone == .gmf, configuration.method == .ig {
      configuration.unlabeledSource = .exposures
    }
    configuration.factors = 8
    configuration.biases = configuration.backbone == .gmf
    configuration.layers = configuration.backbone.standardLayers
    configuration.fillBackboneDefaults()
    if configuration.backbone == .pinsage { configuration.walks = 3 }
    if configuration.backbone == .sasrec { configuration.sequenceLength = 4 }
    configuration.batch = 8
    configuration.epochs = 1
    configuration.patience = 0
    return configuration
  }

  /// Trains on one rank.
  static func train(
    _ choice: Int, on dataset: Dataset, into run: RunDirectory, resuming: Bool = false,
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> TrainingResult {
    var configuration = configuration(choice)
    change(&configuration)
    var surroundings = Trainer.Surroundings(
      environment: RunDirectory.Environment(
        version: "fuzz", ranks: 1, hosts: [], processor: "", mpi: "", tables: "", command: [],
        started: 1),
      log: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
    surroundings.isResuming = resuming
    return try Trainer(
      configuration, dataset: dataset, run: run, group: SoloGroup(), surroundings: surroundings
    ).train()
  }
}
