import Storage
import Testing
import Training

@Suite struct ConfigurationTests {
  struct Mistake: Sendable, CustomTestStringConvertible {
    let message: String
    let make: @Sendable (inout TrainingConfiguration) -> Void
    var testDescription: String { message }

    init(_ message: String, _ make: @escaping @Sendable (inout TrainingConfiguration) -> Void) {
      self.message = message
      self.make = make
    }
  }

  static let mistakes = [
    Mistake("--factors 0: must be in 1 ... 4096") { $0.factors = 0 },
    Mistake("--factors 4097: must be in 1 ... 4096") { $0.factors = 4097 },
    Mistake("--batch 0: must be in 1 ... 16777216") { $0.batch = 0 },
    Mistake("--epochs 0: must be in 1 ... 1048576") { $0.epochs = 0 },
    Mistake("--patience -1: must be at least 0") { $0.patience = -1 },
    Mistake("--rate 0.0: must be a positive number") { $0.rate = 0 },
    Mistake("--rate nan: must be a positive number") { $0.rate = .nan },
    Mistake("--rate inf: must be a positive number") { $0.rate = .infinity },
    Mistake("--weight-decay -1.0: must be a number of at least 0") { $0.weightDecay = -1 },
    Mistake("--weight-decay nan: must be a number of at least 0") { $0.weightDecay = .nan },
    Mistake("--unlabeled-per-labeled 0: must be in 1 ... 1024") { $0.unlabeledPerLabeled = 0 },
    Mistake("--unlabeled-weight -0.5: must be a number of at least 0") {
      $0.unlabeledWeight = -0.5
    },
    Mistake("--inner-rate -1.0: must be a number of at least 0") { $0.innerRate = -1 },
    Mistake("--inner-share 1.5: must be in 0 ... 1") { $0.innerShare = 1.5 },
    Mistake("--inner-share nan: must be in 0 ... 1") { $0.innerShare = .nan },
    Mistake("--drop-rate -0.1: must be in 0 ... 1") { $0.dropRate = -0.1 },
    Mistake("--drop-rate nan: must be in 0 ... 1") { $0.dropRate = .nan },
    Mistake("--drop-steps -1: must be at least 0") { $0.dropSteps = -1 },
    Mistake("--reweight-power inf: must be a number of at least 0") {
      $0.reweightPower = .infinity
    },
    Mistake("--row-decay -1.0: must be a number of at least 0") { $0.rowDecay = -1 },
    Mistake("--initial-deviation 0.0: must be a positive number") { $0.initialDeviation = 0 },
    Mistake("--checkpoint-every -1: must be at least 0") { $0.checkpointEvery = -1 },
    Mistake("--checkpoint-epochs 0: must be at least 1") { $0.checkpointEpochs = 0 },
    Mistake("--keep 0: must be at least 1") { $0.keep = 0 },
    Mistake("--rate 1e+39: \(singleRule)") { $0.rate = 1e39 },
    Mistake("--weight-decay 1e+300: \(singleRule)") { $0.weightDecay = 1e300 },
    Mistake("--inner-rate 1e+39: \(singleRule)") { $0.innerRate = 1e39 },
    Mistake("--row-decay 1e+39: \(singleRule)") { $0.rowDecay = 1e39 },
    Mistake("--initial-deviation 1e+39: \(singleRule)") { $0.initialDeviation = 1e39 },
  ]

  static let singleRule = "must be at most 3.4e+38, the largest number of single precision"

  static let backboneMistakes = [
    Mistake("--layers 3: the backbone gmf has no layers") { $0.layers = 3 },
    Mistake("--biases: the backbone mlp has none per user and item; only gmf has") {
      ($0.backbone, $0.biases) = (.mlp, true)
    },
    Mistake("--factors 10: must be a multiple of 8 with --backbone neumf") {
      ($0.backbone, $0.factors) = (.neumf, 10)
    },
    Mistake("--layers 0: must be in 1 ... 10") { ($0.backbone, $0.layers) = (.mlp, 0) },
    Mistake("--layers 11: must be in 1 ... 10") { ($0.backbone, $0.layers) = (.mlp, 11) },
    Mistake(
      "--factors 64 --layers 8: the first of 8 layers would have 16384 inputs; at most 8192"
    ) { ($0.backbone, $0.factors, $0.layers) = (.neumf, 64, 8) },
    Mistake("--initialize-from a,b: only --backbone neumf joins trained runs, not mlp") {
      ($0.backbone, $0.initializeFrom) = (.mlp, ["a", "b"])
    },
    Mistake("--initialize-from a: must be two runs, RUN_GMF,RUN_MLP") {
      ($0.backbone, $0.initializeFrom) = (.neumf, ["a"])
    },
    Mistake("--initialize-from a,: must be two runs, RUN_GMF,RUN_MLP") {
      ($0.backbone, $0.initializeFrom) = (.neumf, ["a", ""])
    },
  ]

  static let graphMistakes = [
    Mistake("--layers 0: must be in 1 ... 10") { ($0.backbone, $0.layers) = (.lightgcn, 0) },
    Mistake("--layers 11: must be in 1 ... 10") { ($0.backbone, $0.layers) = (.ngcf, 11) },
    Mistake("--biases: the backbone pinsage has none per user and item; only gmf has") {
      ($0.backbone, $0.biases) = (.pinsage, true)
    },
    Mistake("--dropout 0.1: the backbone lightgcn has no dropout") {
      ($0.backbone, $0.dropout) = (.lightgcn, 0.1)
    },
    Mistake("--dropout 1.0: must be in 0 ..< 1") { ($0.backbone, $0.dropout) = (.ngcf, 1) },
    Mistake("--dropout nan: must be in 0 ..< 1") { ($0.backbone, $0.dropout) = (.ngcf, .nan) },
    Mistake("--node-dropout 0.1: only ngcf has it, not lightgcn") {
      ($0.backbone, $0.nodeDropout) = (.lightgcn, 0.1)
    },
    Mistake("--node-dropout 1.0: must be in 0 ..< 1") {
      ($0.backbone, $0.nodeDropout) = (.ngcf, 1)
    },
    Mistake("--factors 10: must be a multiple of 8 with --backbone pinsage") {
      ($0.backbone, $0.factors) = (.pinsage, 10)
    },
    Mistake("--neighbours 3: only the backbone pinsage walks") {
      ($0.backbone, $0.neighbours) = (.ngcf, 3)
    },
    Mistake("--neighbours 0: must be in 1 ... 1024") {
      ($0.backbone, $0.neighbours) = (.pinsage, 0)
    },
    Mistake("--walks 65537: must be in 1 ... 65536") {
      ($0.backbone, $0.walks) = (.pinsage, 65537)
    },
    Mistake("--walk-length 257: must be in 1 ... 256") {
      ($0.backbone, $0.walkLength) = (.pinsage, 257)
    },
    Mistake(
      "--initial-deviation 0.5: only gmf and lightgcn start from a normal distribution that can be "
        + "chosen, not ngcf"
    ) { ($0.backbone, $0.initialDeviation) = (.ngcf, 0.5) },
  ]

  @Test(arguments: graphMistakes) func whatAGraphModelHasNotIsRefused(mistake: Mistake) {
    whatCannotBeMeantIsRefused(mistake: mistake)
  }

  /// A family's usual values are options like those that are given.
  @Test func familiesHaveTheirOwnDefaults() throws {
    func resolved(_ backbone: BackboneName) -> TrainingConfiguration {
      var configuration = TrainingConfiguration()
      configuration.backbone = backbone
      configuration.fillBackboneDefaults()
      return configuration
    }
    #expect(
      BackboneName.allCases.map { resolved($0).dropout } == [nil, nil, nil, nil, 0.1, 0.5, nil])
    #expect(
      BackboneName.allCases.map { resolved($0).initialDeviation }
        == [0.01, nil, nil, 0.1, nil, nil, nil])
    #expect(
      BackboneName.allCases.map { resolved($0).resolvedLayers } == [nil, 3, 3, 3, 3, nil, 2])
    #expect(resolved(.sasrec).blocks == 2 && resolved(.sasrec).sequenceLength == 50)
    #expect(resolved(.pinsage).neighbours == 16 && resolved(.ngcf).neighbours == nil)
    for backbone in BackboneName.allCases {
      try resolved(backbone).validate()
      var implicit = TrainingConfiguration()
      implicit.backbone = backbone
      #expect(
        implicit.defining.map(\.value) == resolved(backbone).defining.map(\.value))
    }
  }

  @Test(arguments: backboneMistakes) func whatABackboneHasNotIsRefused(mistake: Mistake) {
    whatCannotBeMeantIsRefused(mistake: mistake)
  }

  @Test(arguments: mistakes) func whatCannotBeMeantIsRefused(mistake: Mistake) {
    var configuration = TrainingConfiguration()
    mistake.make(&configuration)
    #expect(failure { try configuration.validate() } == .usage(mistake.message))
  }

  @Test func theEdgesAreAllowed() throws {
    var configuration = TrainingConfiguration()
    try configuration.validate()
    configuration.factors = 4096
    configuration.batch = 1 << 24
    configuration.patience = 0
    configuration.unlabeledWeight = 0
    configuration.innerRate = 0
    configuration.innerShare = 0
    configuration.dropRate = 1
    configuration.dropSteps = 0
    configuration.reweightPower = 0
    configuration.unlabeledPerLabeled = 1024
    try configuration.validate()
  }

  /// Every option but those that only decide how long a run lasts, what it keeps and where rows
  /// live is repeated by a resumed run.
  @Test func definingOptionsAreAllOthers() throws {
    let encoded = try RunDirectory.encode(TrainingConfiguration(), pretty: true)
    let keys = String(decoding: encoded, as: UTF8.self).split(separator: "\n")
      .compactMap { $0.split(separator: "\"").dropFirst().first }
    let options = keys.map { key in
      key.map { $0.isUppercase ? "-\($0.lowercased())" : "\($0)" }.joined()
    }
    let free = [
      "epochs", "patience", "tables", "checkpoint-every", "checkpoint-epochs", "keep",
      "checkpoint-required", "on-nonfinite",
    ]
    // Options that are not set are not written, but count: none is a value too.
    let unset = [
      "layers", "dropout", "node-dropout", "initial-deviation", "neighbours", "walks",
      "walk-length", "blocks", "heads", "sequence-length", "initialize-from",
    ]
    #expect(
      Set(TrainingConfiguration().defining.map(\.option))
        == Set(options).subtracting(free).union(unset))
  }
}
