import Backbones
import Fabric
import Kernels
import Sharding
import Testing
import Training

/// What a step costs in messages, exactly; docs/decisions/0011-step-budgets.md has the table.
@Suite struct BudgetTests {
  /// What one rank did in one step.
  struct Seen: Sendable {
    var collectives: Int
    var bytesSent: Int
    var decision: Decision?
  }

  /// The first makes room; the others are measured.
  static let steps = 5
  static let rankCounts = [2, 3, 4]
  static let placements: [Placement] = [.shared, .replicated, .replicatedPairs, .sharded]

  /// Pairs of ranks are several machines from three ranks on.
  static func rankCounts(_ placement: Placement) -> [Int] {
    rankCounts.filter { placement != .replicatedPairs || $0 > 2 }
  }

  static func configuration(
    _ method: Method, _ placement: Placement, isMoving: Bool = true,
    _ reduction: Reduction = .ordered
  ) -> TrainingConfiguration {
    .brief(method) {
      $0.tables = placement.tables
      $0.reduction = reduction
      // Three equal losses, and the decision to stay.
      if !isMoving { $0.innerRate = 0 }
    }
  }

  /// What each rank did in each step but the first.
  static func seen(
    _ configuration: TrainingConfiguration, ranks: Int, _ placement: Placement
  ) throws -> [[Seen]] {
    try LocalGroup.run(ranks: ranks, ranksPerMachine: placement.ranksPerMachine) { group in
      let tree = ShardTree(shardCount: DrawnRows.shardCount, rankCount: ranks)
      let context = JobContext(group: group, tree: tree, configuration: configuration)
      let backbone = GeneralizedMatrixFactorization(
        factors: configuration.factors, hasBiases: configuration.biases)
      let shared =
        placement != .sharded && ranks > 1
        ? try SharedRows(
          ownership: DrawnRows.ownership(tree), stride: backbone.itemLayout.stride, group: group)
        : nil
      let model = Model(
        configuration, backbone: backbone, userStarts: DrawnRows.userStarts,
        itemStarts: DrawnRows.itemStarts, tree: tree, rank: group.rank, sharedItems: shared)
      try shared?.publish()
      let schedule = StepSchedule(
        configuration, model: model, source: DrawnRows(own: tree.shards(of: group.rank)),
        context: context)
      return try withExtendedLifetime((model, schedule)) {
        var seen: [Seen] = []
        for step in 0..<steps {
          let before = group.traffic
          let record = try schedule.rule(for: step).step(
            StepPosition(epoch: 0, step: step, number: step), isStopRequested: false)
          seen.append(
            Seen(
              collectives: group.traffic.collectives - before.collectives,
              bytesSent: group.traffic.bytesSent - before.bytesSent, decision: record.decision))
        }
        return Array(seen.dropFirst())
      }
    }
  }

  /// The written number for a step.
  static func collectives(
    _ method: Method, _ placement: Placement, _ decision: Decision?
  ) -> Int {
    switch (method, placement) {
    case (.ig, .shared): decision == Decision.none ? 7 : 8
    case (.ig, .sharded): 13
    case (.ig, _): decision == Decision.none ? 11 : 12
    case (_, .shared): 3 + more(method)
    case (_, .sharded): 6 + more(method)
    case (_, _): 5 + more(method)
    }
  }

  /// What all ranks must agree on before the derivatives: a cut, or the number of pairs.
  static func more(_ method: Method) -> Int {
    switch method {
    case .tce: 4
    case .bpr: 1
    case .bce, .negatives, .idl, .ig, .rce: 0
    }
  }

  @Test(arguments: Method.allCases, placements)
  func collectivesPerStep(method: Method, placement: Placement) throws {
    for ranks in Self.rankCounts(placement) {
      for isMoving in method == .ig ? [true, false] : [true] {
        let configuration = Self.configuration(method, placement, isMoving: isMoving)
        let seen = try Self.seen(configuration, ranks: ranks, placement)
        for step in seen.joined() {
          #expect(step.collectives == Self.collectives(method, placement, step.decision))
        }
        guard method == .ig else { continue }
        let stays = seen.joined().map { $0.decision == Decision.none }
        #expect(isMoving ? stays.contains(false) : stays.allSatisfy { $0 })
      }
    }
  }

  /// Each dense gradient costs one collective more.
  @Test(arguments: Method.allCases, placements)
  func collectivesPerNativeStep(method: Method, placement: Placement) throws {
    let configuration = Self.configuration(method, placement, .native)
    let more = method == .ig ? 2 : 1
    for ranks in Self.rankCounts(placement) {
      for step in try Self.seen(configuration, ranks: ranks, placement).joined() {
        #expect(step.collectives == Self.collectives(method, placement, step.decision) + more)
      }
    }
  }

  @Test(arguments: Method.allCases) func oneRankCallsNobody(method: Method) throws {
    let seen = try Self.seen(Self.configuration(method, .shared), ranks: 1, .shared)
    #expect(seen[0].allSatisfy { $0.collectives == 0 && $0.bytesSent == 0 })
  }

  /// By a formula of the distinct rows of the batches, which the test draws itself.
  @Test(arguments: Method.allCases, placements)
  func bytesPerStep(method: Method, placement: Placement) throws {
    let configuration = Self.configuration(method, placement)
    for ranks in Self.rankCounts(placement) {
      let seen = try Self.seen(configuration, ranks: ranks, placement)
      for rank in 0..<ranks {
        for (index, step) in seen[rank].enumerated() {
          let formula = StepBytes(configuration, ranks: ranks, step: index + 1)
          #expect(
            step.bytesSent == formula.bytes(of: rank, placement),
            "\(ranks) ranks, rank \(rank), step \(index + 1)")
        }
      }
    }
  }
}

/// The bytes that one rank hands over for others in one step.
struct StepBytes {
  private let method: Method
  private let tree: ShardTree
  private let step: Int
  /// Bytes of a row, and of the dense gradient.
  private let row: Int
  private let dense: Int

  init(_ configuration: TrainingConfiguration, ranks: Int, step: Int) {
    let layout = RowLayout(factors: configuration.factors, hasBias: configuration.biases)
    method = configuration.method
    tree = ShardTree(shardCount: DrawnRows.shardCount, rankCount: ranks)
    self.step = step
    row = 4 * layout.stride
    dense = 4 * WeightedProduct.denseCount(layout)
  }

  func bytes(of rank: Int, _ placement: Placement) -> Int {
    let labeled: [DrawnRows.Kind] =
      method == .bce || method == .ig ? [.labeled] : [.labeled, .unlabeled]
    let size = placement.ranksPerMachine ?? tree.rankCount
    func copies(_ kinds: [DrawnRows.Kind]) -> Int {
      sums(rank, kinds, ranksPerMachine: size) + replicas(rank, kinds, ranksPerMachine: size)
    }
    guard method == .ig else {
      return told(rank, figures: 2) + agreement
        + (placement == .sharded
          ? gradients(rank, labeled) + fetch(rank, labeled, bytes: row) : copies(labeled))
    }
    let reductions = told(rank, figures: 1) + told(rank, figures: 3, dense: 0) + told(rank)
    switch placement {
    case .shared, .replicated, .replicatedPairs:
      return reductions + copies([.unlabeled]) + copies([.labeled])
    default:
      // Rows of the labeled batch travel with their shifts.
      return reductions + gradients(rank, [.unlabeled]) + gradients(rank, [.labeled])
        + fetch(rank, [.unlabeled], bytes: row) + fetch(rank, [.labeled], bytes: 2 * row)
    }
  }

  /// The histograms of a cut and the count of ties, or the number of pairs.
  private var agreement: Int {
    switch method {
    case .tce: 8 * (2048 + 1024 + 1024) + 8
    case .bpr: 8
    case .bce, .negatives, .idl, .ig, .rce: 0
    }
  }

  private var others: Int { tree.rankCount - 1 }

  /// The distinct items of some shards' rows.
  private func items(_ shards: Range<Int>, _ kinds: [DrawnRows.Kind]) -> Set<Int> {
    Set(
      shards.flatMap { shard in
        kinds.flatMap { DrawnRows.items($0, of: method, step: step, shard: shard) }
      })
  }

  private func owned(_ rank: Int) -> Range<Int> { DrawnRows.ownership(tree).rows(of: rank) }

  /// The dense reduction: a note, the tag of the calls so far, and for each block of shards a gradient and figures.
  private func told(_ rank: Int, figures: Int = 0, dense: Int? = nil) -> Int {
    16 + tree.blocks(of: rank).count * ((dense ?? self.dense) + 8 * figures)
  }

  /// Partial sums to owners: counts, then a key, a block and a row for each item and block of
  /// shards that has it.
  private func gradients(_ rank: Int, _ kinds: [DrawnRows.Kind]) -> Int {
    let leaving = tree.blocks(of: rank).reduce(0) { count, block in
      count + items(block, kinds).count { !owned(rank).contains($0) }
    }
    return 8 * others + leaving * (8 + row)
  }

  /// Partial sums of a machine to those owners elsewhere whose turn it is: a count, then a key, a
  /// block and a row for each item and block of the machine's shards that has it.
  private func sums(_ rank: Int, _ kinds: [DrawnRows.Kind], ranksPerMachine size: Int) -> Int {
    let machine = rank / size
    let neighbours = (0..<tree.rankCount).filter { $0 / size == machine }
    let owners = (0..<tree.rankCount).filter { $0 / size != machine }
    let shards =
      tree.shards(of: neighbours[0])
      .lowerBound..<tree.shards(
        of: neighbours[neighbours.count - 1]
      ).upperBound
    return owners.enumerated().reduce(0) { bytes, owner in
      guard neighbours[owner.offset % neighbours.count] == rank else { return bytes }
      return ShardTree.blocks(in: shards).reduce(bytes + 8) {
        $0 + (8 + row) * items($1, kinds).count { owned(owner.element).contains($0) }
      }
    }
  }

  /// Owners' rows to each other machine: a count, then a key and a row for each item that any rank
  /// has.
  private func replicas(_ rank: Int, _ kinds: [DrawnRows.Kind], ranksPerMachine size: Int) -> Int {
    let touched = items(0..<tree.shardCount, kinds).count { owned(rank).contains($0) }
    return (tree.rankCount - 1) / size * (8 + touched * (4 + row))
  }

  /// Rows to those who ask: counts, keys of others' rows, and what others ask of this rank.
  private func fetch(_ rank: Int, _ kinds: [DrawnRows.Kind], bytes: Int) -> Int {
    func asked(by other: Int, of owner: Int) -> Int {
      items(tree.shards(of: other), kinds).count { owned(owner).contains($0) }
    }
    return (0..<tree.rankCount).filter { $0 != rank }.reduce(0) { sum, other in
      sum + 8 + 4 * asked(by: rank, of: other) + bytes * asked(by: other, of: rank)
    }
  }
}
