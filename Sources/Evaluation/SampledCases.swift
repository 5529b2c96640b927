import Randomness

/// How candidates are drawn.
package struct CandidateSampling: Equatable, Sendable {
  /// Candidates of a case; all there are when there are fewer.
  package var count: Int
  package var seed: UInt64

  package init(count: Int = 100, seed: UInt64 = 1) {
    self.count = count
    self.seed = seed
  }
}

/// Every relevant item of a shard's users as a case among drawn candidates.
///
/// Candidates are a uniformly random set of the items that are neither masked nor relevant for the
/// user, without repetition: Floyd's algorithm, which needs exactly as many draws (Bentley and Floyd,
/// *A sample of brilliance*, CACM 1987). A draw is a function of (seed, user, relevant item, number
/// of the draw), so it does not depend on ranks, on other cases or on the model.
package struct SampledCases: CandidateCases {
  private let shard: RankingShard
  private let itemCount: Int
  private let count: Int
  private let random: Philox
  /// The place of the user that is being written, and of the case.
  private var place = -1
  private var next = 0
  /// What the user's candidates must not be, ascending.
  private var excluded: [UInt32] = []
  private var chosen: ChosenNumbers
  private var candidates: [UInt32] = []

  /// - Parameters:
  ///   - shard: Users, relevant and masked items.
  ///   - itemCount: Items of the dataset.
  ///   - sampling: How candidates are drawn.
  package init(_ shard: RankingShard, itemCount: Int, sampling: CandidateSampling) {
    precondition(sampling.count >= 1, "a case has at least one candidate")
    self.shard = shard
    self.itemCount = itemCount
    count = sampling.count
    random = Philox(seed: sampling.seed, purpose: .candidates)
    chosen = ChosenNumbers(capacity: min(sampling.count, itemCount))
  }

  package var userCount: Int { shard.users.count }

  /// - Complexity: O(candidates · log(excluded items)), and O(excluded items) for a new user.
  package mutating func next(into block: inout CandidateBlock) -> Bool {
    guard next < shard.relevant.count else { return false }
    if place < 0 || next == shard.relevantStarts[place + 1] {
      place += 1
      exclude()
    }
    let (user, relevant) = (shard.users[place], shard.relevant[next])
    draw(user, relevant)
    block.append(user: user, relevant: relevant, candidates: candidates)
    next += 1
    return true
  }

  private mutating func draw(_ user: UInt32, _ relevant: UInt32) {
    let rest = itemCount - excluded.count
    let drawn = min(count, rest)
    candidates.removeAll(keepingCapacity: true)
    chosen.removeAll()
    let row = Int(user) << 32 | Int(relevant)
    for number in 0..<drawn {
      let last = rest - drawn + number
      var rank = random.integer(below: last + 1, row: row, draw: number)
      if !chosen.insert(UInt32(rank)) {
        rank = last
        _ = chosen.insert(UInt32(rank))
      }
      candidates.append(item(rank))
    }
  }

  /// The masked and the relevant items of the current user, which have none in common.
  private mutating func exclude() {
    let user = shard.users[place]
    let relevant = shard.relevant[shard.relevantStarts[place]..<shard.relevantStarts[place + 1]]
    let bound = shard.maskedBound(of: user)
    excluded = unsafe [UInt32](unsafeUninitializedCapacity: bound) { buffer, count in
      guard bound > 0, let base = buffer.baseAddress else { return }
      count = unsafe shard.writeMasked(of: user, into: base)
    }
    excluded += relevant
    excluded.sort()
  }

  /// The `rank`-th item, from 0, that is not excluded.
  private func item(_ rank: Int) -> UInt32 {
    // excluded[i] − i items below excluded[i] are not.
    var (low, high) = (0, excluded.count)
    while low < high {
      let middle = (low &+ high) >> 1
      if Int(excluded[middle]) &- middle <= rank { low = middle &+ 1 } else { high = middle }
    }
    return UInt32(rank &+ low)
  }
}

/// A small set of numbers that is emptied at once.
private struct ChosenNumbers {
  /// `round << 32 | number`; slots of earlier rounds are free.
  private var slots: [UInt64]
  private let mask: Int
  private var round: UInt64 = 0

  /// Room for `capacity` numbers.
  init(capacity: Int) {
    var size = 2
    while size < 2 * capacity { size *= 2 }
    slots = [UInt64](repeating: 0, count: size)
    mask = size - 1
  }

  mutating func removeAll() { round += 1 }

  /// Returns whether the number is new.
  mutating func insert(_ number: UInt32) -> Bool {
    let word = round << 32 | UInt64(number)
    var slot = Int(number &* 0x9E37_79B9) & mask
    while slots[slot] >> 32 == round {
      if slots[slot] == word { return false }
      slot = (slot + 1) & mask
    }
    slots[slot] = word
    return true
  }
}
