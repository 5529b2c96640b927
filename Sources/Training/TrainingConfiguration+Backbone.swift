import Backbones
import Storage

/// The family of models.
package enum BackboneName: String, Codable, Sendable, CaseIterable {
  case gmf, mlp, neumf, lightgcn, ngcf, sasrec

  /// Layers when none are asked for; `nil` for a family without layers.
  package var standardLayers: Int? {
    switch self {
    case .gmf, .sasrec: nil
    case .mlp, .neumf, .lightgcn, .ngcf: 3
    }
  }

  /// The share of activations that is dropped when none is asked for.
  package var standardDropout: Double { self == .sasrec ? 0.5 : 0 }
}

/// What the options say of the backbone.
extension TrainingConfiguration {
  /// The widest layer of a tower: that of 4096 inputs a side has 2²⁵ weights.
  private static let widestTower = 8192

  /// The layers that are asked for, or as many as the family usually has.
  package var resolvedLayers: Int? { layers ?? backbone.standardLayers }

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
  func makeBackbone(userCount: Int, itemCount: Int) -> any Backbone {
    let layers = resolvedLayers ?? 0
    return switch backbone {
    case .gmf:
      GeneralizedMatrixFactorization(
        factors: factors, hasBiases: biases, trainsOutput: outputWeights == .trained,
        initialDeviation: initialDeviation)
    case .mlp: MultilayerPerceptron(factors: factors, layers: layers)
    case .neumf: NeuralMatrixFactorization(factors: factors, layers: layers)
    case .lightgcn: LightGraphConvolution(factors: factors, layers: layers)
    case .ngcf:
      NeuralGraphCollaborativeFiltering(
        .init(factors: factors, layers: layers, dropout: Float(dropout)), userCount: userCount,
        itemCount: itemCount)
    case .sasrec:
      SelfAttentiveRecommendation(
        .init(
          factors: factors, length: resolvedSequenceLength ?? 0, blocks: resolvedBlocks ?? 0,
          heads: resolvedHeads ?? 0, dropout: Float(dropout)), itemCount: itemCount)
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
    case .sasrec:
      try refuseBiases()
      if let layers {
        throw .usage("--layers \(layers): the backbone sasrec has --blocks instead")
      }
    }
    guard dropout == 0 || backbone == .ngcf || backbone == .sasrec else {
      throw .usage("--dropout \(dropout): the backbone \(backbone.rawValue) has no dropout")
    }
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

  private func validateTower() throws(Failure) {
    let name = backbone.rawValue
    try refuseBiases()
    guard factors % 8 == 0 else {
      throw .usage("--factors \(factors): must be a multiple of 8 with --backbone \(name)")
    }
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
