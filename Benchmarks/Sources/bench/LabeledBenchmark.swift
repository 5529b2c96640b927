import Evaluation
import Fabric
import Kernels
import Measuring

/// All metrics of labeled rows whose scores are given: AUC, GAUC, log loss, NDCG@10, MRR.
///
/// It owns its columns, which the shards borrow while it lives.
@safe
final class LabeledBenchmark {
  private static let shardCount = 16
  private static let rowsPerShard = 12_503
  private static let usersPerShard = 377

  private let users: AlignedBuffer<UInt32>
  private let labels: AlignedBuffer<UInt8>
  private let scores: AlignedBuffer<Float>

  private init() {
    let rows = Self.shardCount * Self.rowsPerShard
    users = AlignedBuffer(count: rows)
    labels = AlignedBuffer(count: rows)
    scores = AlignedBuffer(count: rows)
    for row in 0..<rows {
      let (shard, place) = row.quotientAndRemainder(dividingBy: Self.rowsPerShard)
      let user = shard * Self.usersPerShard + place * Self.usersPerShard / Self.rowsPerShard
      unsafe users.pointer[row] = UInt32(user)
      unsafe labels.pointer[row] = row % 6 == 0 ? 0 : 1
      // A fixed scramble: scores in no order, few ties.
      unsafe scores.pointer[row] = Float((row &* 2_654_435_761) & 0xff_ffff) * 0x1p-22 - 2
    }
  }

  private var shards: [ScoredShard] {
    (0..<Self.shardCount).map { shard in
      let range = shard * Self.rowsPerShard..<(shard + 1) * Self.rowsPerShard
      return unsafe ScoredShard(
        shard: shard, users: UnsafeBufferPointer(rebasing: users.elements[range]),
        labels: UnsafeBufferPointer(rebasing: labels.elements[range]),
        scores: UnsafeBufferPointer(rebasing: scores.elements[range]))
    }
  }

  static func run(_ session: Session) throws {
    let benchmark = LabeledBenchmark()
    let tree = ShardTree(shardCount: shardCount, rankCount: 1)
    let group = SoloGroup()
    // Once with its errors; afterwards it is known to work.
    _ = try LabeledEvaluation.evaluate(benchmark.shards, tree: tree, group: group)
    let seconds = Rounds.measure(
      session.rounds,
      [
        {
          ProcessorClock.secondsPerCall(atLeast: 0.05) {
            _ = try? LabeledEvaluation.evaluate(benchmark.shards, tree: tree, group: group)
          }
        }
      ])
    let rows = shardCount * rowsPerShard
    session.add(
      .evaluation, "seconds", ["work": "labeled metrics", "rows": "\(rows)"], unit: "s", seconds[0])
    print(
      "labeled metrics of \(rows) rows, one rank: "
        + "\(Figure.spread(seconds[0].map { 1e3 * $0 }, Figure.short)) ms")
  }
}
