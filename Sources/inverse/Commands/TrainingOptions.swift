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
extension SelectionProtocol: ExpressibleByArgument {}
extension TestReport: ExpressibleByArgument {}
extension RowShift.Direction: ExpressibleByArgument {}
extension OutputWeights: ExpressibleByArgument {}
extension NonfiniteReaction: ExpressibleByArgument {}

/// The options that decide a model.
struct TrainingOptions: ParsableArguments {
  private static let standard = TrainingConfiguration()

  @Option(
    help: ArgumentHelp(
      "How unlabeled rows count: not at all (bce), as negatives, softly (idl), judged (ig), as "
        + "negatives with the dearest positives dropped (t-ce) or badly fitting rows weighed less "
        + "(r-ce), below positives (bpr)."))
  var method = standard.method
  @Option(
    help: ArgumentHelp(
      "The family of models: a weighted product (gmf), a tower of layers (mlp), both under one "
        + "output (neumf), rows mixed over the graph first (lightgcn, ngcf, pinsage), or attention "
        + "to what the user liked before (sasrec)."))
  var backbone = standard.backbone
  @Option(
    help: ArgumentHelp(
      "Factors of an embedding; 8, 16, 32, 64 and 128 are fastest. A multiple of 8 with mlp, "
        + "neumf and pinsage; 50 in the paper of sasrec.", valueName: "n"))
  var factors = standard.factors
  @Flag(help: "Give users and items a bias each; gmf only.")
  var biases = false
  @Option(
    help: ArgumentHelp(
      "Layers of a graph model, or of the tower of mlp and neumf, whose embeddings then have "
        + "factors · 2^(layers − 1); default: 3, with pinsage 2.",
      valueName: "n"))
  var layers: Int?
  @Option(
    help: ArgumentHelp(
      "Share of activations that ngcf and sasrec drop in training, in 0 ..< 1; default: 0.1 with "
        + "ngcf, 0.5 with sasrec, as their authors.", valueName: "x"))
  var dropout: Double?
  @Option(
    help: ArgumentHelp(
      "Share of the graph's entries that ngcf leaves out in a step, in 0 ..< 1; default: 0.",
      valueName: "x"))
  var nodeDropout: Double?
  @Option(
    help: ArgumentHelp(
      "The most neighbours of a user or item with pinsage; default: "
        + "\(TrainingConfiguration.standardNeighbours).", valueName: "n"))
  var neighbours: Int?
  @Option(
    help: ArgumentHelp(
      "Random walks from each user and item that find its neighbours with pinsage; default: "
        + "\(TrainingConfiguration.standardWalks).", valueName: "n"))
  var walks: Int?
  @Option(
    help: ArgumentHelp(
      "Items that each of these walks visits; default: "
        + "\(TrainingConfiguration.standardWalkLength).", valueName: "n"))
  var walkLength: Int?
  @Option(help: ArgumentHelp("Blocks of sasrec; default: 2.", valueName: "n"))
  var blocks: Int?
  @Option(
    help: ArgumentHelp(
      "Heads of sasrec's attention, which divide the factors; default: 1.", valueName: "n"))
  var heads: Int?
  @Option(
    help: ArgumentHelp(
      "Items before a row that sasrec reads at most, the last ones; default: 50.", valueName: "n"))
  var sequenceLength: Int?
  @Option(
    help: ArgumentHelp(
      "Runs of gmf and mlp on this dataset whose best models neumf starts from, joined; "
        + "default: none.",
      valueName: "run,run"))
  var initializeFrom: String?
  @Option(
    help: ArgumentHelp(
      "Labeled rows per step, over all ranks; users with sasrec.", valueName: "rows"))
  var batch = standard.batch
  @Option(help: ArgumentHelp("The most passes over the labeled rows.", valueName: "n"))
  var epochs = standard.epochs
  @Option(
    help: ArgumentHelp(
      "Evaluations without a better one before training stops; 0: never.", valueName: "n"))
  var patience = standard.patience
  @Option(
    help: ArgumentHelp(
      "The figure on valid that makes an epoch the best: auc, gauc, loss, or of rankings "
        + "recall@k, ndcg@k, hit-rate@k, precision@k, map@k, mrr.", valueName: "figure"))
  var select = standard.select
  @Option(
    help: "A figure of rankings is of all items, or of relevant ones among 100 sampled candidates.")
  var selectProtocol = standard.selectProtocol
  @Option(
    help: ArgumentHelp(
      "Epochs between evaluations; an epoch without one is never the best.", valueName: "epochs"))
  var evaluateEvery = standard.evaluateEvery
  @Option(
    help: ArgumentHelp(
      "Also record figures on test at every evaluation, which decide nothing: of labeled rows, "
        + "and of full, sampled or listed rankings. (default: none)", valueName: "protocol"))
  var reportTest: TestReport?
  @Option(help: ArgumentHelp("The candidates of --report-test lists.", valueName: "file"))
  var lists: String?
  @Option(help: "The optimizer of touched rows and of dense parameters.")
  var optimizer = standard.optimizer
  @Option(help: ArgumentHelp("Learning rate, β.", valueName: "x"))
  var rate = standard.rate
  @Option(help: ArgumentHelp("L2 decay added to the gradient of touched rows.", valueName: "x"))
  var weightDecay = standard.weightDecay
  @Option(
    help: ArgumentHelp(
      "L2 decay as a mean over the rows or pairs of a batch, as with LightGCN.", valueName: "x"))
  var rowDecay = standard.rowDecay
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
  @Option(help: ArgumentHelp("Largest share of rows that t-ce drops, in 0 ... 1.", valueName: "x"))
  var dropRate = standard.dropRate
  @Option(help: ArgumentHelp("Steps until t-ce drops that share.", valueName: "steps"))
  var dropSteps = standard.dropSteps
  @Option(help: ArgumentHelp("Power β of r-ce's weights.", valueName: "x"))
  var reweightPower = standard.reweightPower
  @Option(help: "GMF's output weights: trained, or ones for good, with no common bias (MF).")
  var outputWeights = standard.outputWeights
  @Option(
    help: ArgumentHelp(
      "Deviation of initial embeddings of gmf and lightgcn; default: 0.01, with lightgcn 0.1.",
      valueName: "x"))
  var initialDeviation: Double?
  @Option(help: "Item rows: replicated on every machine, or sharded over ranks.")
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
  @Flag(
    help: ArgumentHelp(
      "End the run when a checkpoint on the way cannot be written, in place of a warning and "
        + "another try later."))
  var checkpointRequired = false
  @Option(
    help: ArgumentHelp(
      "What to do about numbers that are not finite: stop, or leave the step out and go on "
        + "(skip-step), which gives up after \(NumericalGuard.mostSkipped) steps in a row."))
  var onNonfinite = standard.onNonfinite
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
    resolved.dropout = dropout
    resolved.nodeDropout = nodeDropout
    resolved.neighbours = neighbours
    resolved.walks = walks
    resolved.walkLength = walkLength
    resolved.initialDeviation = initialDeviation
    resolved.blocks = blocks
    resolved.heads = heads
    resolved.sequenceLength = sequenceLength
    resolved.fillBackboneDefaults()
    resolved.initializeFrom = initializeFrom?.split(
      separator: ",", omittingEmptySubsequences: false
    ).map(String.init)
    resolved.batch = batch
    resolved.epochs = epochs
    resolved.patience = patience
    resolved.select = select
    resolved.selectProtocol = selectProtocol
    resolved.evaluateEvery = evaluateEvery
    resolved.reportTest = reportTest
    resolved.lists = lists
    resolved.optimizer = optimizer
    resolved.rate = rate
    resolved.weightDecay = weightDecay
    resolved.rowDecay = rowDecay
    resolved.unlabeledPerLabeled = unlabeledPerLabeled
    resolved.unlabeledWeight = unlabeledWeight
    resolved.unlabeledSource = unlabeledSource
    resolved.innerRate = innerRate ?? rate
    resolved.innerStep = innerStep
    resolved.innerShare = innerShare
    resolved.dropRate = dropRate
    resolved.dropSteps = dropSteps
    resolved.reweightPower = reweightPower
    resolved.outputWeights = outputWeights
    resolved.tables = tables
    resolved.reduction = reduction
    resolved.checkpointEvery = checkpointEvery
    resolved.checkpointEpochs = checkpointEpochs
    resolved.keep = keep
    resolved.checkpointRequired = checkpointRequired
    resolved.onNonfinite = onNonfinite
    resolved.seed = seed
    return resolved
  }
}
