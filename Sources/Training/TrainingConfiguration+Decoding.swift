extension TrainingConfiguration {
  /// Reads what this program wrote, or an earlier one.
  ///
  /// The keys of the first version must be there. Those that came later stand for the value that
  /// did what programs did before there was a choice; a new option gets a line among them.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func required<Value: Decodable>(_ key: CodingKeys) throws -> Value {
      try values.decode(Value.self, forKey: key)
    }
    func optional<Value: Decodable>(_ key: CodingKeys) throws -> Value? {
      try values.decodeIfPresent(Value.self, forKey: key)
    }
    func later<Value: Decodable>(_ key: CodingKeys, _ before: Value) throws -> Value {
      try values.decodeIfPresent(Value.self, forKey: key) ?? before
    }
    self.init()
    method = try required(.method)
    backbone = try required(.backbone)
    factors = try required(.factors)
    biases = try required(.biases)
    batch = try required(.batch)
    epochs = try required(.epochs)
    patience = try required(.patience)
    select = try required(.select)
    optimizer = try required(.optimizer)
    rate = try required(.rate)
    weightDecay = try required(.weightDecay)
    unlabeledPerLabeled = try required(.unlabeledPerLabeled)
    unlabeledWeight = try required(.unlabeledWeight)
    unlabeledSource = try required(.unlabeledSource)
    innerRate = try required(.innerRate)
    innerStep = try required(.innerStep)
    innerShare = try required(.innerShare)
    tables = try required(.tables)
    reduction = try required(.reduction)
    checkpointEvery = try required(.checkpointEvery)
    keep = try required(.keep)
    seed = try required(.seed)

    layers = try optional(.layers)
    dropout = try optional(.dropout)
    nodeDropout = try optional(.nodeDropout)
    neighbours = try optional(.neighbours)
    walks = try optional(.walks)
    walkLength = try optional(.walkLength)
    blocks = try optional(.blocks)
    heads = try optional(.heads)
    sequenceLength = try optional(.sequenceLength)
    initializeFrom = try optional(.initializeFrom)
    initialModels = try optional(.initialModels)
    reportTest = try optional(.reportTest)
    lists = try optional(.lists)
    initialDeviation = try optional(.initialDeviation)

    checkpointEpochs = try later(.checkpointEpochs, 1)
    selectProtocol = try later(.selectProtocol, .full)
    evaluateEvery = try later(.evaluateEvery, 1)
    dropRate = try later(.dropRate, 0.2)
    dropSteps = try later(.dropSteps, 30_000)
    reweightPower = try later(.reweightPower, 0.25)
    rowDecay = try later(.rowDecay, 0)
    outputWeights = try later(.outputWeights, .trained)
    checkpointRequired = try later(.checkpointRequired, false)
    onNonfinite = try later(.onNonfinite, .stop)
  }
}
