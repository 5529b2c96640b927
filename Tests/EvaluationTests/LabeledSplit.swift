import Evaluation
import Fabric

/// A sequence of words of 64 bits that is the same in every run (Knuth's linear congruential
/// generator, its upper half).
struct Words: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    func half() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 32
    }
    return half() << 32 | half()
  }
}

/// One labeled and scored row.
struct LabeledRow: Equatable, Sendable {
  var user: UInt32
  var label: UInt8
  var score: Float
}

/// A split of the rows of all shards, from which each rank borrows its own.
struct LabeledSplit: Sendable {
  let tree: @Sendable (_ ranks: Int) -> ShardTree
  private(set) var users: [UInt32] = []
  private(set) var labels: [UInt8] = []
  private(set) var scores: [Float] = []
  private var offsets = [0]

  /// Rows in the order given inside their shard; `shards.count` is a power of two.
  init(shards: [[LabeledRow]]) {
    let count = shards.count
    tree = { ShardTree(shardCount: count, rankCount: $0) }
    for rows in shards {
      users += rows.map(\.user)
      labels += rows.map(\.label)
      scores += rows.map(\.score)
      offsets.append(users.count)
    }
  }

  /// Rows sorted by user, each user in the shard `user % shardCount`.
  init(_ rows: [LabeledRow], shardCount: Int) {
    var shards = [[LabeledRow]](repeating: [], count: shardCount)
    for row in rows { shards[Int(row.user) % shardCount].append(row) }
    // The order of a user's rows is kept.
    self.init(
      shards: shards.map { rows in
        rows.enumerated().sorted { ($0.element.user, $0.offset) < ($1.element.user, $1.offset) }
          .map(\.element)
      })
  }

  var rows: [LabeledRow] {
    users.indices.map { LabeledRow(user: users[$0], label: labels[$0], score: scores[$0]) }
  }

  /// Lends the shards of one rank.
  func withShards<T>(
    of rank: Int, ranks: Int, _ body: ([ScoredShard]) throws -> T
  ) throws -> T {
    unsafe try users.withUnsafeBufferPointer { users in
      unsafe try labels.withUnsafeBufferPointer { labels in
        unsafe try scores.withUnsafeBufferPointer { scores in
          try body(
            tree(ranks).shards(of: rank).map { shard in
              let range = offsets[shard]..<offsets[shard + 1]
              return unsafe ScoredShard(
                shard: shard, users: UnsafeBufferPointer(rebasing: users[range]),
                labels: UnsafeBufferPointer(rebasing: labels[range]),
                scores: UnsafeBufferPointer(rebasing: scores[range]))
            })
        }
      }
    }
  }

  /// What every rank gets from `body`, in rank order.
  func onRanks<T: Sendable>(
    _ ranks: Int,
    _ body: @escaping @Sendable ([ScoredShard], ShardTree, any ProcessGroup) throws -> T
  ) throws -> [T] {
    try LocalGroup.run(ranks: ranks) { group in
      try withShards(of: group.rank, ranks: ranks) { try body($0, tree(ranks), group) }
    }
  }

  /// The metrics that each of `ranks` ranks gets.
  func metrics(ranks: Int, cutoffs: [Int] = [1, 3, 10]) throws -> [LabeledMetrics] {
    try onRanks(ranks) {
      try LabeledEvaluation.evaluate($0, cutoffs: cutoffs, tree: $1, group: $2)
    }
  }

  /// The areas that each of `ranks` ranks gets.
  func areas(ranks: Int, largestBucket: Int = 1 << 16) throws -> [AreaUnderCurve] {
    try onRanks(ranks) { shards, _, group in
      try AreaUnderCurve.evaluate(shards, group: group, largestBucket: largestBucket)
    }
  }
}

extension LabeledSplit {
  /// The kinds of scores that tests go through.
  enum Scores: CaseIterable, Sendable {
    case spread, manyTies, allEqual, zeros, extremes, clustered

    func draw(_ words: inout Words) -> Float {
      switch self {
      case .spread: Float.random(in: -8...8, using: &words)
      case .manyTies: Float(Int.random(in: -2...2, using: &words)) / 2
      case .allEqual: 1.5
      case .zeros: [0, -0.0, 1, -1].randomElement(using: &words) ?? 0
      case .extremes:
        [
          .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
          .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 0, -0.0, 1e30, -1e30,
        ].randomElement(using: &words) ?? 0
      // Neighbours that share their upper 16 bits.
      case .clustered: 1 + Float(Int.random(in: 0...40, using: &words)) * 0x1p-23
      }
    }
  }

  /// Users 0, 1, … with 1 to `longest` rows each.
  static func random(
    _ scores: Scores, users: Int, longest: Int, positiveShare: Double = 0.6, shardCount: Int = 8,
    seed: UInt64 = 1
  ) -> LabeledSplit {
    var words = Words(seed)
    var rows: [LabeledRow] = []
    for user in 0..<users {
      for _ in 0..<Int.random(in: 1...longest, using: &words) {
        let label: UInt8 = Double.random(in: 0..<1, using: &words) < positiveShare ? 1 : 0
        rows.append(LabeledRow(user: UInt32(user), label: label, score: scores.draw(&words)))
      }
    }
    return LabeledSplit(rows, shardCount: shardCount)
  }
}
