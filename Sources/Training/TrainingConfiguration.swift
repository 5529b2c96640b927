package import Evaluation
package import Kernels
package import Storage

/// How rows without a label enter the objective.
package enum Method: String, Codable, Sendable, CaseIterable {
  /// Binary cross-entropy of labeled rows alone.
  case bce
  /// Beside it, every unlabeled row counts as negative: the common practice.
  case negatives
  /// Beside it, the inverse dual loss of unlabeled rows.
  case idl
  /// Inverse gradient: a virtual step on the unlabeled rows, judged by the labeled ones.
  case ig
  /// Binary cross-entropy of labeled and unlabeled rows, the latter as negatives, without the
  /// positive rows that cost most.
  case tce = "t-ce"
  /// The same, in which rows count the less the worse they fit.
  case rce = "r-ce"
  /// Bayesian personalised ranking: a positive row is to score above its unlabeled rows.
  case bpr
}

/// The optimizer of rows and dense parameters.
package enum OptimizerName: String, Codable, Sendable, CaseIterable {
  case adam, adagrad
  case rowwiseAdagrad = "rowwise-adagrad"
  case sgd

  var row: RowOptimizer {
    switch self {
    case .adam: .adam
    case .adagrad: .adagrad
    case .rowwiseAdagrad: .rowwiseAdagrad
    case .sgd: .gradientDescent
    }
  }

  /// For dense parameters, which have no rows to share a state.
  var dense: RowOptimizer { self == .rowwiseAdagrad ? .adagrad : row }
}

/// Where item rows live.
package enum TablePlacement: String, Codable, Sendable, CaseIterable {
  /// Every rank holds all rows.
  case replicated
  /// Rows live with their owner.
  case sharded
}

/// How gradients are added over ranks.
package enum Reduction: String, Codable, Sendable, CaseIterable {
  /// Along the shard tree: the same bytes for every number of ranks.
  case ordered
  /// As the library likes; the last digits depend on the number of ranks.
  case native
}

/// What feeds the unlabeled side of all methods but `bce`.
package enum UnlabeledSource: String, Codable, Sendable, CaseIterable {
  /// Items the user has not met in training, uniformly.
  case sampled
  /// Exposures of the user without a reaction.
  case exposures
}

/// What becomes of GMF's output weights.
package enum OutputWeights: String, Codable, Sendable, CaseIterable {
  /// They and the common bias are trained.
  case trained
  /// They are 1 and the common bias is 0, for good: matrix factorisation.
  case ones
}

/// How the figure of rankings is computed that chooses the best epoch.
package enum SelectionProtocol: String, Codable, Sendable, CaseIterable {
  /// Rankings of all items.
  case full
  /// Every relevant item among drawn candidates.
  case sampled
}

/// What of the test split is reported while training goes on.
package enum TestReport: String, Codable, Sendable, CaseIterable {
  /// The labeled rows.
  case labeled
  /// Beside them rankings of all items.
  case full
  /// Beside them every relevant item among drawn candidates.
  case sampled
  /// Beside them cases among listed candidates.
  case lists
}

/// Everything that decides a training run, resolved.
///
/// The property names are the long options of `inverse train` in camel case.
package struct TrainingConfiguration: Codable, Equatable, Sendable {
  package var method = Method.ig
  package var backbone = BackboneName.gmf
  /// `F`.
  package var factors = 32
  package var biases = false
  /// `L`, of backbones with layers; see ``resolvedLayers``.
  package var layers: Int?
  /// The share of activations that a backbone with dropout drops in training; see
  /// ``resolvedDropout``.
  package var dropout: Double?
  /// The share of the graph's entries that NGCF leaves out in training; see
  /// ``resolvedNodeDropout``.
  package var nodeDropout: Double?
  /// The most neighbours of a node, walks from it and items that each visits, of backbones that
  /// walk; see ``walks(_:)``.
  package var neighbours: Int?
  package var walks: Int?
  package var walkLength: Int?
  /// Of a model of sequences; see ``resolvedBlocks``.
  package var blocks: Int?
  /// See ``resolvedHeads``.
  package var heads: Int?
  /// See ``resolvedSequenceLength``.
  package var sequenceLength: Int?
  /// The runs whose best models are joined into the initial one.
  package var initializeFrom: [String]?
  /// The SHA-256 of each of these models.
  package var initialModels: [String]?
  /// `B`, labeled rows per step over all ranks; users for a model of sequences.
  package var batch = 1024
  package var epochs = 20
  /// Evaluations without a better one before the run stops; 0 never stops early.
  package var patience = 5
  package var select = BestEpoch.Criterion.auc
  /// For figures of rankings.
  package var selectProtocol = SelectionProtocol.full
  /// Epochs between evaluations.
  package var evaluateEvery = 1
  /// `nil` for nothing before the end.
  package var reportTest: TestReport?
  /// The file of the candidates of `TestReport.lists`.
  package var lists: String?
  package var optimizer = OptimizerName.adam
  /// β.
  package var rate = 0.002
  package var weightDecay = 0.0
  package var unlabeledPerLabeled = 1
  /// λ.
  package var unlabeledWeight = 1.0
  package var unlabeledSource = UnlabeledSource.sampled
  /// α; the rate when not given.
  package var innerRate = 0.002
  package var innerStep = RowShift.Direction.sign
  package var innerShare = 1.0
  /// The largest share of rows that `t-ce` drops.
  package var dropRate = 0.2
  /// Steps until `t-ce` drops as many.
  package var dropSteps = 30_000
  /// β of `r-ce`.
  package var reweightPower = 0.25
  /// Decay of the rows that a batch reads.
  package var rowDecay = 0.0
  package var outputWeights = OutputWeights.trained
  /// See ``resolvedInitialDeviation``.
  package var initialDeviation: Double?
  package var tables = TablePlacement.replicated
  package var reduction = Reduction.ordered
  /// Steps between checkpoints, beside those after epochs; 0 for none.
  package var checkpointEvery = 0
  /// Epochs between checkpoints; the end of a run always writes one.
  package var checkpointEpochs = 1
  package var keep = 3
  /// Whether a run ends when a checkpoint on the way cannot be written.
  package var checkpointRequired = false
  package var onNonfinite = NonfiniteReaction.stop
  package var seed: UInt64 = 1

  /// Keys of `configuration.json`; see ``init(from:)`` about those that came later.
  enum CodingKeys: String, CodingKey {
    case method, backbone, factors, biases, layers, dropout, neighbours, walks, walkLength, blocks
    case heads, sequenceLength, initializeFrom, initialModels, batch, epochs, patience, select
    case selectProtocol, evaluateEvery, reportTest, lists, optimizer, rate, weightDecay
    case unlabeledPerLabeled, unlabeledWeight, unlabeledSource, innerRate, innerStep, innerShare
    case dropRate, dropSteps, reweightPower, rowDecay, outputWeights, initialDeviation, tables
    case reduction, checkpointEvery, checkpointEpochs, keep, checkpointRequired, onNonfinite, seed
    case nodeDropout
  }

  package init() {}

  /// The most places of a ranking: the memory of a rank grows by 2.5 KiB for each.
  package static let mostPlaces = 10_000

  /// Refuses values that cannot be meant.
  ///
  /// - Throws: `Failure` of kind usage, naming the option, its value and what it may be.
  package func validate() throws(Failure) {
    func require(_ condition: Bool, _ option: String, _ value: Any, _ rule: String) throws(Failure)
    {
      guard condition else { throw .usage("--\(option) \(value): must be \(rule)") }
    }
    try require((1...4096).contains(factors), "factors", factors, "in 1 ... 4096")
    try validateBackbone()
    let dropout = resolvedDropout
    try require(dropout >= 0 && dropout < 1, "dropout", dropout, "in 0 ..< 1")
    let nodeDropout = resolvedNodeDropout
    try require(nodeDropout >= 0 && nodeDropout < 1, "node-dropout", nodeDropout, "in 0 ..< 1")
    try require((1...1 << 24).contains(batch), "batch", batch, "in 1 ... 16777216")
    try require((1...1 << 20).contains(epochs), "epochs", epochs, "in 1 ... 1048576")
    try require(patience >= 0, "patience", patience, "at least 0")
    try require(
      (1...epochs).contains(evaluateEvery), "evaluate-every", evaluateEvery,
      "at least 1 and at most the epochs, \(epochs)")
    try require(
      select.rankingFigure?.cutoff ?? 1 <= TrainingConfiguration.mostPlaces, "select",
      select.rawValue, "at most @\(TrainingConfiguration.mostPlaces)")
    guard (reportTest == .lists) == (lists != nil) else {
      throw .usage("--lists FILE and --report-test lists belong together: give both or none")
    }
    try require(rate > 0 && rate.isFinite, "rate", rate, "a positive number")
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "weight-decay", weightDecay,
      "a number of at least 0")
    try require(
      (1...1024).contains(unlabeledPerLabeled), "unlabeled-per-labeled", unlabeledPerLabeled,
      "in 1 ... 1024")
    try require(
      unlabeledWeight >= 0 && unlabeledWeight.isFinite, "unlabeled-weight", unlabeledWeight,
      "a number of at least 0")
    try require(
      innerRate >= 0 && innerRate.isFinite, "inner-rate", innerRate, "a number of at least 0")
    try require(
      innerShare >= 0 && innerShare <= 1, "inner-share", innerShare, "in 0 ... 1")
    try require(dropRate >= 0 && dropRate <= 1, "drop-rate", dropRate, "in 0 ... 1")
    try require(dropSteps >= 0, "drop-steps", dropSteps, "at least 0")
    try require(
      reweightPower >= 0 && reweightPower.isFinite, "reweight-power", reweightPower,
      "a number of at least 0")
    try require(
      rowDecay >= 0 && rowDecay.isFinite, "row-decay", rowDecay, "a number of at least 0")
    let initialDeviation = resolvedInitialDeviation
    try require(
      initialDeviation > 0 && initialDeviation.isFinite, "initial-deviation", initialDeviation,
      "a positive number")
    let single = [
      ("rate", rate), ("weight-decay", weightDecay), ("unlabeled-weight", unlabeledWeight),
      ("inner-rate", innerRate), ("reweight-power", reweightPower), ("row-decay", rowDecay),
      ("initial-deviation", initialDeviation),
    ]
    for (option, value) in single {
      try require(
        Float(value).isFinite, option, value,
        "at most 3.4e+38, the largest number of single precision")
    }
    try require(checkpointEvery >= 0, "checkpoint-every", checkpointEvery, "at least 0")
    try require(checkpointEpochs >= 1, "checkpoint-epochs", checkpointEpochs, "at least 1")
    try require(keep >= 1, "keep", keep, "at least 1")
  }

  /// The options that decide the bytes of a model, by name: what a resumed run must repeat.
  ///
  /// Left out are those that only decide how long a run goes on, what it keeps, and where rows
  /// live.
  package var defining: [(option: String, value: String)] {
    [
      ("method", method.rawValue), ("backbone", backbone.rawValue), ("factors", "\(factors)"),
      ("biases", "\(biases)"), ("layers", resolvedLayers.map { "\($0)" } ?? "none"),
      ("dropout", "\(resolvedDropout)"), ("node-dropout", "\(resolvedNodeDropout)"),
      ("neighbours", "\(resolvedNeighbours)"),
      ("walks", "\(resolvedWalks)"), ("walk-length", "\(resolvedWalkLength)"),
      ("blocks", resolvedBlocks.map { "\($0)" } ?? "none"),
      ("heads", resolvedHeads.map { "\($0)" } ?? "none"),
      ("sequence-length", resolvedSequenceLength.map { "\($0)" } ?? "none"),
      ("initialize-from", initialModels?.joined(separator: ",") ?? "none"),
      ("batch", "\(batch)"), ("select", select.rawValue),
      ("select-protocol", selectProtocol.rawValue), ("evaluate-every", "\(evaluateEvery)"),
      ("optimizer", optimizer.rawValue), ("rate", "\(rate)"), ("weight-decay", "\(weightDecay)"),
      ("unlabeled-per-labeled", "\(unlabeledPerLabeled)"),
      ("unlabeled-weight", "\(unlabeledWeight)"), ("unlabeled-source", unlabeledSource.rawValue),
      ("inner-rate", "\(innerRate)"), ("inner-step", innerStep.rawValue),
      ("inner-share", "\(innerShare)"), ("drop-rate", "\(dropRate)"),
      ("drop-steps", "\(dropSteps)"), ("reweight-power", "\(reweightPower)"),
      ("row-decay", "\(rowDecay)"), ("output-weights", outputWeights.rawValue),
      ("initial-deviation", "\(resolvedInitialDeviation)"), ("reduction", reduction.rawValue),
      ("seed", "\(seed)"),
    ]
  }
}
