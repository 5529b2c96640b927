/// Relevant items with the candidates they are ranked among, by shard of one rank.
///
/// A case is a user, a relevant item and candidates that are not relevant. Its rank is one more than
/// the candidates with a strictly higher score: the convention of He et al., *Neural collaborative
/// filtering*, WWW 2017, and of Kang and McAuley, *Self-attentive sequential recommendation*, ICDM
/// 2018. Candidates with the same score are counted beside it, for they could as well come first.
package struct CandidateBlock {
  /// The user and the item of each pair to score; of a case the relevant item comes first.
  package private(set) var users: [UInt32] = []
  package private(set) var items: [UInt32] = []
  /// Where each case starts, and where the last ends.
  private var caseStarts = [0]
  /// Where the cases of each shard end.
  private var shardEnds: [Int] = []
  private var shardStart = 0

  package init() {}

  /// Pairs of the shard that is being written.
  package var shardPairs: Int { items.count - shardStart }

  /// Forgets all cases.
  package mutating func removeAll() {
    users.removeAll(keepingCapacity: true)
    items.removeAll(keepingCapacity: true)
    caseStarts.removeLast(caseStarts.count - 1)
    shardEnds.removeAll(keepingCapacity: true)
    shardStart = 0
  }

  /// Adds a case to the shard that is being written.
  ///
  /// - Parameters:
  ///   - user: A dense id.
  ///   - relevant: An item.
  ///   - candidates: Other items, each once.
  mutating func append(user: UInt32, relevant: UInt32, candidates: some Sequence<UInt32>) {
    items.append(relevant)
    items.append(contentsOf: candidates)
    users.append(contentsOf: repeatElement(user, count: items.count - users.count))
    caseStarts.append(items.count)
  }

  /// Ends the cases of a shard.
  package mutating func closeShard() {
    shardEnds.append(caseStarts.count - 1)
    shardStart = items.count
  }

  /// The pairs of each shard.
  package var shardRanges: [Range<Int>] {
    var start = 0
    return shardEnds.map { end in
      defer { start = caseStarts[end] }
      return start..<caseStarts[end]
    }
  }

  /// Adds the figures of all cases.
  ///
  /// - Parameters:
  ///   - scores: One for each pair.
  ///   - sums: One for each shard.
  /// - Returns: The first user with a score that is not a number, `nil` if there is none; then the
  ///   sums mean nothing.
  /// - Complexity: O(pairs); no allocation.
  package func addFigures(
    _ scores: UnsafeBufferPointer<Float>, to sums: inout [RankingSums]
  ) -> UInt32? {
    precondition(scores.count == items.count, "one score for each pair")
    precondition(sums.count == shardEnds.count, "sums of each shard")
    var number = 0
    for (shard, end) in shardEnds.enumerated() {
      while number < end {
        let (first, last) = (caseStarts[number], caseStarts[number + 1])
        let bound = unsafe scores[first]
        var (higher, ties, strange) = (0, 0, bound.isNaN ? 1 : 0)
        for place in first + 1..<last {
          let score = unsafe scores[place]
          higher &+= score > bound ? 1 : 0
          ties &+= score == bound ? 1 : 0
          strange &+= score.isNaN ? 1 : 0
        }
        guard strange == 0 else { return users[first] }
        sums[shard].add(rank: higher + 1, candidates: last - first - 1, ties: ties)
        number += 1
      }
    }
    return nil
  }
}

/// The cases of one shard, one after the other.
package protocol CandidateCases {
  /// Users with cases.
  var userCount: Int { get }

  /// Appends the next case.
  ///
  /// - Returns: Whether there was one.
  mutating func next(into block: inout CandidateBlock) -> Bool
}
