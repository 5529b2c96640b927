import ArgumentParser
import Evaluation
import Kernels
import Training

extension Training.Method: ExpressibleByArgument {}
extension BackboneName: ExpressibleByArgument {}
extension OptimizerName: ExpressibleByArgument {}
extension TablePlacement: ExpressibleByArgument {}
extension Reduction: ExpressibleByArgument {}
extension UnlabeledSource: ExpressibleByArgument {}
extension BestEpoch.Criterion: ExpressibleByArgument {}
extension RowShift.Direction: ExpressibleByArgument {}

/// The options that decide a model.
struct TrainingOptions: ParsableArguments {
  private static let standard = TrainingConfiguration()

  @Option(help: "How unlabeled rows count: not at all, as negatives, softly (idl), judged (ig).")
  var method = standard.method
  @Option(
    help: "The family of models: a weighted product, a tower of layers, or both under one output.")
  var backbone = standard.backbone
  @Option(
    help: ArgumentHelp(
      "Factors of an embedding; 8, 16, 32, 64 and 128 are fastest. Of mlp and neumf a multiple of 8.",
      valueName: "n"))
  var factors = standard.factors
  @Flag(help: "Give users and items a bias each; gmf only.")
  var biases = false
  @Option(
    help: ArgumentHelp(
      "Layers of a tower, of mlp and neumf; default: 3. Embeddings of the tower have "
        + "factors · 2^(layers − 1).",
      valueName: "n"))
  var layers: Int?
  @Option(
    help: ArgumentHelp(
      "Runs of gmf and mlp on this dataset whose best models neumf starts from, joined; "
        + "default: none.",
      valueName: "run,run"))
  var initializeFrom: String?
  @Option(help: ArgumentHelp("Labeled rows per step, over all ranks.", valueName: "rows"))
  var batch = standard.batch
  @Option(help: ArgumentHelp("The most passes over the labeled rows.", valueName: "n"))
  var epochs = standard.epochs
  @Option(
    help: ArgumentHelp(
      "Epochs without a better one before training stops; 0: never.", valueName: "epochs"))
  var patience = standard.patience
  @Option(help: "The figure on valid that makes an epoch the best.")
  var select = standard.select
  @Option(help: "The optimizer of touched rows and of dense parameters.")
  var optimizer = standard.optimizer
  @Option(help: ArgumentHelp("Learning rate, β.", valueName: "x"))
  var rate = standard.rate
  @Option(help: ArgumentHelp("L2 decay added to the gradient of touched rows.", valueName: "x"))
  var weightDecay = standard.weightDecay
  @Option(help: ArgumentHelp("Unlabeled rows drawn per labeled row.", valueName: "n"))
  var unlabeledPerLabeled = standard.unlabeledPerLabeled
  @Option(
    help: ArgumentHelp("Weight λ of the unlabeled mean in negatives and idl.", valueName: "x"))
  var unlabeledWeight = standard.unlabeledWeight
  @Option(help: "Unlabeled rows: sampled from items the user has not met, or the user's exposures.")
  var unlabeledSource = standard.unlabeledSource
  @Option(help: ArgumentHelp("Size α of ig's virtual step; default: the rate.", valueName: "x"))
  var innerRate: Double?
  @Option(help: "Direction of ig's virtual step: the gradient, or its sign.")
  var innerStep = standard.innerStep
  @Option(
    help: ArgumentHelp(
      "Share of steps that ig judges, in 0 ... 1; the others are plain bce steps.",
      valueName: "x"))
  var innerShare = standard.innerShare
  @Option(help: "Item rows: replicated on every rank, or sharded over them.")
  var tables = standard.tables
  @Option(help: "Sums over ranks: ordered, the same for any number of ranks, or native to MPI.")
  var reduction = standard.reduction
  @Option(
    help: ArgumentHelp(
      "Steps between checkpoints, beside those after epochs; 0: none.", valueName: "steps"))
  var checkpointEvery = standard.checkpointEvery
  @Option(
    help: ArgumentHelp(
      "Epochs between checkpoints and new best models on the disk; the last one counts always.",
      valueName: "epochs"))
  var checkpointEpochs = standard.checkpointEpochs
  @Option(help: ArgumentHelp("Checkpoints to keep, beside the best model.", valueName: "n"))
  var keep = standard.keep
  @Option(help: ArgumentHelp("Seed of everything random.", valueName: "n"))
  var seed = standard.seed

  /// The options with every default filled in.
  var resolved: TrainingConfiguration {
    var resolved = TrainingConfiguration()
    resolved.method = method
    resolved.backbone = backbone
    resolved.factors = factors
    resolved.biases = biases
    resolved.layers = layers ?? backbone.standardLayers
    resolved.initializeFrom = initializeFrom?.split(
      separator: ",", omittingEmptySubsequences: false
    ).map(String.init)
    resolved.batch = batch
    resolved.epochs = epochs
    resolved.patience = patience
    resolved.select = select
    resolved.optimizer = optimizer
    resolved.rate = rate
    resolved.weightDecay = weightDecay
    resolved.unlabeledPerLabeled = unlabeledPerLabeled
    resolved.unlabeledWeight = unlabeledWeight
    resolved.unlabeledSource = unlabeledSource
    resolved.innerRate = innerRate ?? rate
    resolved.innerStep = innerStep
    resolved.innerShare = innerShare
    resolved.tables = tables
    resolved.reduction = reduction
    resolved.checkpointEvery = checkpointEvery
    resolved.checkpointEpochs = checkpointEpochs
    resolved.keep = keep
    resolved.seed = seed
    return resolved
  }
}
