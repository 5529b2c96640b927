/// Cases whose candidates are given, of one shard's users.
package struct ListedCases: CandidateCases {
  private var users: [UInt32] = []
  private var relevant: [UInt32] = []
  private var starts = [0]
  private var candidates: [UInt32] = []
  private var next = 0

  package init() {}

  /// Adds a case.
  ///
  /// - Parameters:
  ///   - user: A dense id.
  ///   - relevant: An item.
  ///   - listed: Candidates. A repeated one counts once; the relevant item is not one of them.
  /// - Complexity: O(listed · log listed).
  package mutating func append(user: UInt32, relevant: UInt32, candidates listed: [UInt32]) {
    users.append(user)
    self.relevant.append(relevant)
    var last = relevant
    for item in listed.sorted() where item != relevant && item != last {
      candidates.append(item)
      last = item
    }
    starts.append(candidates.count)
  }

  package var caseCount: Int { users.count }

  package var userCount: Int { Set(users).count }

  package mutating func next(into block: inout CandidateBlock) -> Bool {
    guard next < users.count else { return false }
    block.append(
      user: users[next], relevant: relevant[next],
      candidates: candidates[starts[next]..<starts[next + 1]])
    next += 1
    return true
  }
}
