import Backbones
import Storage

/// The family of models.
package enum BackboneName: String, Codable, Sendable, CaseIterable {
  case gmf, mlp, neumf, lightgcn, ngcf, sasrec, pinsage

  /// Layers when none are asked for; `nil` for a family without layers.
  package var standardLayers: Int? {
    switch self {
    case .gmf, .sasrec: nil
    case .mlp, .neumf, .lightgcn, .ngcf: 3
    case .pinsage: 2
    }
  }

  /// The share of activations that is dropped when none is asked for: that of the authors.
  package var standardDropout: Double {
    switch self {
    case .ngcf: 0.1
    case .sasrec: 0.5
    case .gmf, .mlp, .neumf, .lightgcn, .pinsage: 0
    }
  }

  /// The deviation of initial embeddings when none is asked for; it counts with families only that
  /// draw them from a normal distribution.
  package var standardInitialDeviation: Double { self == .lightgcn ? 0.1 : 0.01 }
}

/// What the options say of the backbone.
extension TrainingConfiguration {
  /// The widest layer of a tower: that of 4096 inputs a side has 2²⁵ weights.
  private static let widestTower = 8192

  /// The layers that are asked for, or as many as the family usually has.
  package var resolvedLayers: Int? { layers ?? backbone.standardLayers }

  /// The dropout that is asked for, or the family's usual one.
  package var resolvedDropout: Double { dropout ?? backbone.standardDropout }

  /// The node dropout that is asked for, or none, as the authors' program.
  package var resolvedNodeDropout: Double { nodeDropout ?? 0 }

  /// The deviation that is asked for, or the family's usual one.
  package var resolvedInitialDeviation: Double {
    initialDeviation ?? backbone.standardInitialDeviation
  }

  package var resolvedNeighbours: Int { neighbours ?? Self.standardNeighbours }
  package var resolvedWalks: Int { walks ?? Self.standardWalks }
  package var resolvedWalkLength: Int { walkLength ?? Self.standardWalkLength }

  package static let standardNeighbours = 16
  package static let standardWalks = 100
  package static let standardWalkLength = 3

  /// Writes down what the family takes for options that were not given and that it has.
  package mutating func fillBackboneDefaults() {
    if Self.dropoutFamilies.contains(backbone) { dropout = resolvedDropout }
    if backbone == .ngcf { nodeDropout = resolvedNodeDropout }
    if backbone == .sasrec {
      (blocks, heads, sequenceLength) = (resolvedBlocks, resolvedHeads, resolvedSequenceLength)
    }
    if Self.normalFamilies.contains(backbone) { initialDeviation = resolvedInitialDeviation }
    guard backbone == .pinsage else { return }
    (neighbours, walks, walkLength) = (resolvedNeighbours, resolvedWalks, resolvedWalkLength)
  }

  /// Families whose initial embeddings have a normal distribution that can be chosen.
  private static let normalFamilies: [BackboneName] = [.gmf, .lightgcn]
  /// Families with dropout.
  private static let dropoutFamilies: [BackboneName] = [.ngcf, .sasrec]

  /// Blocks of a model of sequences, or `nil` for a family without.
  package var resolvedBlocks: Int? { backbone == .sasrec ? blocks ?? 2 : nil }
  /// Heads of its attention.
  package var resolvedHeads: Int? { backbone == .sasrec ? heads ?? 1 : nil }
  /// `n`, the most items before a row that it reads.
  package var resolvedSequenceLength: Int? { backbone == .sasrec ? sequenceLength ?? 50 : nil }

  /// A new backbone of the configured family.
  ///
  /// - Parameters:
  ///   - userCount: Users of the whole job.
  ///   - itemCount: Items.
  /// - Returns: The backbone.
  func makeBackbone(userCount: Int, itemCount: Int) -> any Backbone {
    let layers = resolvedLayers ?? 0
    return switch backbone {
    case .gmf:
      GeneralizedMatrixFactorization(
        factors: factors, hasBiases: biases, trainsOutput: outputWeights == .trained,
        initialDeviation: resolvedInitialDeviation)
    case .mlp: MultilayerPerceptron(factors: factors, layers: layers)
    case .neumf: NeuralMatrixFactorization(factors: factors, layers: layers)
    case .lightgcn:
      LightGraphConvolution(
        factors: factors, layers: layers, initialDeviation: resolvedInitialDeviation)
    case .ngcf:
      NeuralGraphCollaborativeFiltering(
        .init(
          factors: factors, layers: layers, dropout: Float(resolvedDropout),
          nodeDropout: Float(resolvedNodeDropout)),
        userCount: userCount, itemCount: itemCount)
    case .pinsage:
      PinSage(
        factors: factors, layers: layers,
        walks: RandomWalks.Plan(
          seed: seed, walks: resolvedWalks, length: resolvedWalkLength,
          neighbours: resolvedNeighbours),
        userCount: userCount, itemCount: itemCount)
    case .sasrec:
      SelfAttentiveRecommendation(
        .init(
          factors: factors, length: resolvedSequenceLength ?? 0, blocks: resolvedBlocks ?? 0,
          heads: resolvedHeads ?? 0, dropout: Float(resolvedDropout)), itemCount: itemCount)
    }
  }

  /// Refuses options that the family does not have, and sizes that it cannot.
  ///
  /// - Throws: `Failure` of kind usage.
  func validateBackbone() throws(Failure) {
    try validateSequences()
    switch backbone {
    case .gmf:
      if let layers { throw .usage("--layers \(layers): the backbone gmf has no layers") }
    case .mlp, .neumf: try validateTower()
    case .lightgcn, .ngcf: try validateGraphModel()
    case .pinsage:
      try validateGraphModel()
      try requireWholeBlocks()
    case .sasrec:
      try refuseBiases()
      if let layers {
        throw .usage("--layers \(layers): the backbone sasrec has --blocks instead")
      }
    }
    guard resolvedDropout == 0 || Self.dropoutFamilies.contains(backbone) else {
      throw .usage(
        "--dropout \(resolvedDropout): the backbone \(backbone.rawValue) has no dropout")
    }
    guard resolvedNodeDropout == 0 || backbone == .ngcf else {
      throw .usage(
        "--node-dropout \(resolvedNodeDropout): only ngcf has it, not \(backbone.rawValue)")
    }
    if let initialDeviation, !Self.normalFamilies.contains(backbone) {
      throw .usage(
        "--initial-deviation \(initialDeviation): only gmf and lightgcn start from a normal "
          + "distribution that can be chosen, not \(backbone.rawValue)")
    }
    try validateWalks()
    guard let initializeFrom else { return }
    guard backbone == .neumf else {
      throw .usage(
        "--initialize-from \(initializeFrom.joined(separator: ",")): only --backbone neumf joins "
          + "trained runs, not \(backbone.rawValue)")
    }
    guard initializeFrom.count == 2, initializeFrom.allSatisfy({ !$0.isEmpty }) else {
      throw .usage(
        "--initialize-from \(initializeFrom.joined(separator: ",")): must be two runs, "
          + "RUN_GMF,RUN_MLP")
    }
  }

  private func validateSequences() throws(Failure) {
    let options = [
      ("blocks", blocks, 1...64), ("heads", heads, 1...4096),
      ("sequence-length", sequenceLength, 1...4096),
    ]
    for (option, value, range) in options {
      guard let value else { continue }
      guard backbone == .sasrec else {
        throw .usage("--\(option) \(value): only the backbone sasrec has it")
      }
      guard range.contains(value) else {
        throw .usage(
          "--\(option) \(value): must be in \(range.lowerBound) ... \(range.upperBound)")
      }
    }
    guard backbone == .sasrec else { return }
    let heads = resolvedHeads ?? 1
    guard factors % heads == 0 else {
      throw .usage("--heads \(heads): must divide --factors \(factors)")
    }
    guard rowDecay == 0 else {
      throw .usage(
        "--row-decay \(rowDecay): the backbone sasrec has no rows of a user; use --weight-decay")
    }
  }

  private func refuseBiases() throws(Failure) {
    guard !biases else {
      throw .usage(
        "--biases: the backbone \(backbone.rawValue) has none per user and item; only gmf has")
    }
  }

  private func validateGraphModel() throws(Failure) {
    try refuseBiases()
    let layers = resolvedLayers ?? 0
    guard (1...10).contains(layers) else {
      throw .usage("--layers \(layers): must be in 1 ... 10")
    }
  }

  private func validateWalks() throws(Failure) {
    let numbers = [
      ("neighbours", neighbours, 1024), ("walks", walks, 1 << 16), ("walk-length", walkLength, 256),
    ]
    for (option, number, most) in numbers {
      guard let number else { continue }
      guard backbone == .pinsage else {
        throw .usage("--\(option) \(number): only the backbone pinsage walks")
      }
      guard (1...most).contains(number) else {
        throw .usage("--\(option) \(number): must be in 1 ... \(most)")
      }
    }
  }

  private func requireWholeBlocks() throws(Failure) {
    guard factors % 8 == 0 else {
      throw .usage(
        "--factors \(factors): must be a multiple of 8 with --backbone \(backbone.rawValue)")
    }
  }

  private func validateTower() throws(Failure) {
    try refuseBiases()
    try requireWholeBlocks()
    let layers = resolvedLayers ?? 0
    guard (1...10).contains(layers) else {
      throw .usage("--layers \(layers): must be in 1 ... 10")
    }
    let width = factors << layers
    guard width <= Self.widestTower else {
      throw .usage(
        "--factors \(factors) --layers \(layers): the first of \(layers) layers would have "
          + "\(width) inputs; at most \(Self.widestTower)")
    }
  }
}
