import Kernels
import Testing

/// Rankings by matrix products, against sorting the scores of every pair.
@Suite struct TopKRankingTests {
  /// Vectors of small whole numbers: every score is exact in whatever order it is added, and many
  /// are equal.
  private struct Problem {
    let userCount: Int
    let itemCount: Int
    let width: Int
    var users: [Float]
    var items: [Float]
    /// By user, ascending.
    var excluded: [[UInt32]]
    /// By user, ascending, none of them excluded.
    var targets: [[UInt32]]

    init(users userCount: Int, items itemCount: Int, width: Int) {
      (self.userCount, self.itemCount, self.width) = (userCount, itemCount, width)
      var draws = Draws(seed: UInt64(itemCount))
      users = (0..<userCount * width).map { _ in Float(draws.integer(below: 7) - 3) }
      items = (0..<itemCount * width).map { _ in Float(draws.integer(below: 7) - 3) }
      (excluded, targets) = ([], [])
      for user in 0..<userCount {
        // From none to nearly all items; the last user has none left.
        let share = user == userCount - 1 ? 100 : user * 17 % 97
        let isExcluded = (0..<itemCount).map { _ in draws.integer(below: 100) < share }
        let all = (0..<itemCount).map { UInt32($0) }
        excluded.append(all.filter { isExcluded[Int($0)] })
        // Every third user has no targets, others one or some.
        let left = all.filter { !isExcluded[Int($0)] }
        targets.append(
          user % 3 == 0
            ? [] : left.filter { _ in draws.integer(below: left.count) < user % 5 + 1 })
      }
    }

    func scores(_ user: Int) -> [Float] {
      (0..<itemCount).map { item in
        (0..<width).reduce(0) {
          $0 + users[user * width + $1] * items[item * width + $1]
        }
      }
    }
  }

  private struct Outcome {
    var defect: Int?
    var best: [[UInt32]] = []
    var firstRanks: [Int] = []
  }

  /// The lists of all users in one, with where each starts.
  private func flat(_ lists: [[UInt32]]) -> (AlignedBuffer<Int>, AlignedBuffer<UInt32>) {
    var starts = [0]
    for list in lists { starts.append(starts[starts.count - 1] + list.count) }
    return (AlignedBuffer(starts), AlignedBuffer(Array(lists.joined())))
  }

  private func rank(_ problem: Problem, limit: Int, repetitions: Int = 1) -> Outcome {
    MatrixProduct.useOneThread()
    let ranking = TopKRanking(
      items: AlignedBuffer(problem.items), itemCount: problem.itemCount, width: problem.width,
      limit: limit)
    let (excluded, targets) = (flat(problem.excluded), flat(problem.targets))
    for (place, value) in problem.users.enumerated() { unsafe ranking.users.pointer[place] = value }
    var outcome = Outcome()
    for _ in 0..<repetitions {
      outcome.defect = unsafe ranking.rank(
        count: problem.userCount,
        excluding: TopKRanking.Lists(starts: excluded.0.pointer, items: excluded.1.pointer),
        targets: TopKRanking.Lists(starts: targets.0.pointer, items: targets.1.pointer))
    }
    let counts = ranking.bestCounts.values
    outcome.best = (0..<problem.userCount).map { user in
      let start = user * ranking.limit
      return Array(ranking.best.values[start..<start + counts[user]])
    }
    outcome.firstRanks = ranking.firstRanks.prefix(problem.userCount)
    withExtendedLifetime((excluded, targets)) {}
    return outcome
  }

  /// Blocks and tiles that are full, odd and nearly empty; limits above the number of items.
  @Test(arguments: [
    (7, 13, 3), (1, 1, 1), (128, 512, 4), (3, 513, 2), (128, 1100, 5), (9, 2049, 1),
  ])
  func rankingsAreThoseOfAFullSort(users: Int, items: Int, width: Int) {
    let problem = Problem(users: users, items: items, width: width)
    for limit in [1, 10, 100, items + 7] {
      let outcome = rank(problem, limit: limit, repetitions: 2)
      #expect(outcome.defect == nil)
      for user in 0..<users {
        let expected = TopKSelectionTests.ranking(
          problem.scores(user), without: Set(problem.excluded[user]))
        #expect(outcome.best[user] == Array(expected.prefix(limit)), "user \(user) of \(users)")
        let targets = Set(problem.targets[user])
        let first = expected.firstIndex { targets.contains($0) }.map { $0 + 1 }
        #expect(outcome.firstRanks[user] == first ?? 0, "user \(user) of \(users)")
      }
    }
  }

  /// An excluded item that ranks nowhere does not count for the rank of others, whatever its score.
  @Test func excludedScoresDoNotMatter() {
    var problem = Problem(users: 2, items: 600, width: 1)
    problem.users = [1, 1]
    problem.items = (0..<600).map { Float(-$0) }
    problem.items[3] = .nan
    problem.items[4] = .infinity
    problem.items[5] = -.infinity
    problem.excluded = [[0, 3, 4, 5, 599], [3, 4, 5]]
    problem.targets = [[598], [400, 598]]
    let outcome = rank(problem, limit: 2)
    #expect(outcome.defect == nil)
    #expect(outcome.best == [[1, 2], [0, 1]])
    #expect(outcome.firstRanks == [599 - 4, 401 - 3])
  }

  @Test func theFirstUserWithoutNumbersIsNamed() {
    var problem = Problem(users: 5, items: 530, width: 2)
    problem.excluded = [[UInt32]](repeating: [], count: 5)
    for user in [3, 4] { problem.users[2 * user] = .nan }
    #expect(rank(problem, limit: 10).defect == 3)
    problem.items[2 * 529] = .nan
    #expect(rank(problem, limit: 10).defect == 0)
  }

  @Test func nobodyAndNothingAreRanked() {
    var problem = Problem(users: 2, items: 0, width: 3)
    problem.targets = [[], []]
    let outcome = rank(problem, limit: 5)
    #expect(outcome.defect == nil)
    #expect(outcome.best == [[], []])
    #expect(outcome.firstRanks == [0, 0])
    #expect(rank(Problem(users: 0, items: 4, width: 1), limit: 2).best == [])
  }

  @Test func tooManyUsersAreRefused() async {
    await #expect(processExitsWith: .failure) {
      let ranking = TopKRanking(
        items: AlignedBuffer<Float>(count: 1), itemCount: 1, width: 1, limit: 1)
      let (starts, items) = (AlignedBuffer<Int>(count: 200), AlignedBuffer<UInt32>(count: 1))
      let none = unsafe TopKRanking.Lists(starts: starts.pointer, items: items.pointer)
      _ = ranking.rank(count: 129, excluding: none, targets: none)
      withExtendedLifetime((starts, items)) {}
    }
  }
}
