import Backbones
import Fabric
import Kernels
import Sharding
import Training

/// Models that propagate, over a drawn graph of the users and items of ``DrawnRows``.
enum GraphModel {
  /// The items of each user; the first has none, and nobody has the last item.
  static let edges: [[UInt32]] = (0..<16).map { user in
    var draws = Draws(seed: UInt64(500 + user))
    return user == 0 ? [] : (0..<39).filter { _ in draws.integer(below: 5) == 0 }.map { UInt32($0) }
  }

  static func backbone(_ configuration: TrainingConfiguration) -> any PropagatingBackbone {
    let (factors, layers) = (configuration.factors, configuration.resolvedLayers ?? 1)
    return switch configuration.backbone {
    case .ngcf:
      NeuralGraphCollaborativeFiltering(
        .init(
          factors: factors, layers: layers, dropout: Float(configuration.resolvedDropout),
          nodeDropout: Float(configuration.resolvedNodeDropout)),
        userCount: 16, itemCount: 40)
    case .pinsage:
      PinSage(
        factors: factors, layers: layers,
        walks: .init(seed: configuration.seed, walks: 10, length: 2, neighbours: 4),
        userCount: 16, itemCount: 40)
    default: LightGraphConvolution(factors: factors, layers: layers)
    }
  }

  static func make(
    _ configuration: TrainingConfiguration, tree: ShardTree, group: any ProcessGroup
  ) throws -> Model {
    let run = tree.shards(of: group.rank)
    var own = InteractionGraph.Edges()
    for user in DrawnRows.userStarts[run.lowerBound]..<DrawnRows.userStarts[run.upperBound] {
      own.items += edges[user]
      own.starts.append(own.items.count)
    }
    let graph = try InteractionGraph(
      own, userStarts: DrawnRows.userStarts, itemStarts: DrawnRows.itemStarts, tree: tree,
      isOrdered: configuration.reduction == .ordered, group: group)
    let backbone = backbone(configuration)
    return Model(
      configuration, backbone: backbone, userStarts: DrawnRows.userStarts,
      itemStarts: DrawnRows.itemStarts, tree: tree, rank: group.rank,
      propagation: try backbone.makePropagation(over: graph))
  }

  /// The parameters before and after one step of one rank, and what was decided.
  static func step(
    _ configuration: TrainingConfiguration, rows step: Int
  ) throws -> (before: [Float], after: [Float], record: StepRecord) {
    let (group, tree) = (SoloGroup(), ShardTree(shardCount: DrawnRows.shardCount, rankCount: 1))
    let model = try make(configuration, tree: tree, group: group)
    let before = parameters(model)
    let schedule = StepSchedule(
      configuration, model: model, source: DrawnRows(own: 0..<DrawnRows.shardCount),
      context: JobContext(group: group, tree: tree, configuration: configuration))
    let record = try schedule.rule(for: 0).step(
      StepPosition(epoch: 0, step: step, number: 0), isStopRequested: false)
    return (before, parameters(model), record)
  }

  /// Rows of users, of items, and the dense ones, with padding.
  private static func parameters(_ model: Model) -> [Float] {
    withExtendedLifetime(model) {
      unsafe Array(model.users.weights.elements) + Array(model.items.weights.elements)
        + Array(model.dense.weights.elements)
    }
  }
}
