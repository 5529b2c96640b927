import Interactions
import Testing

@Suite struct ShardAssignmentTests {
  static let cases: [[Int]] = [
    [], [5], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1],
    (0..<1000).map { 1000 / ($0 + 1) }, (0..<500).map { $0 * 7919 % 97 },
    [1_000_000] + [Int](repeating: 1, count: 99),
  ]

  /// When an id was placed its shard was the lightest, at most the mean: so no shard exceeds the
  /// mean by more than the heaviest id.
  @Test(arguments: ShardAssignmentTests.cases, [1, 2, 16, 256])
  func loadsAreBalanced(weights: [Int], shards: Int) {
    let assignment = ShardAssignment(weights: weights, shards: shards)
    var loads = [Int](repeating: 0, count: shards)
    for (id, weight) in weights.enumerated() {
      loads[assignment.shard(of: Int(assignment.dense[id]))] += weight
    }
    let mean = Double(weights.reduce(0, +)) / Double(shards)
    #expect(Double(loads.max() ?? 0) <= mean + Double(weights.max() ?? 0))
    #expect(assignment.starts.count == shards + 1)
    #expect(assignment.starts.last == weights.count)
    #expect(assignment.dense.sorted() == (0..<weights.count).map { UInt32($0) })
    #expect(weights.indices.allSatisfy { assignment.appearance[Int(assignment.dense[$0])] == $0 })
    for shard in 0..<shards {
      let members = assignment.appearance[assignment.starts[shard]..<assignment.starts[shard + 1]]
      #expect(Array(members) == members.sorted())
    }
  }

  /// Against the definition, shard by shard: largest first, lightest shard, ties by lowest index.
  @Test(arguments: [1, 4, 8])
  func assignsAsDefined(shards: Int) {
    let weights = (0..<200).map { 1 + $0 * 131 % 23 }
    let order = weights.indices.sorted {
      weights[$0] != weights[$1] ? weights[$0] > weights[$1] : $0 < $1
    }
    var loads = [Int](repeating: 0, count: shards)
    var expected = [Int](repeating: 0, count: weights.count)
    for id in order {
      let lightest = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
      loads[lightest] += weights[id]
      expected[id] = lightest
    }
    let assignment = ShardAssignment(weights: weights, shards: shards)
    #expect(weights.indices.map { assignment.shard(of: Int(assignment.dense[$0])) } == expected)
  }

  @Test func idsWithoutWeightFillUpEqually() {
    let assignment = ShardAssignment(
      weights: [9, 1, 1] + [Int](repeating: 0, count: 29), shards: 4)
    let members = zip(assignment.starts, assignment.starts.dropFirst()).map { $1 - $0 }
    #expect(members == [8, 8, 8, 8])
  }
}
