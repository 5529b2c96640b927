import Evaluation
import Fabric
import Foundation
import Interactions
import Kernels
import Sharding
import Storage
import Testing
import Training

// Candidates that a file lists.
extension CandidateRankerTests {
  /// Cases in no order of users, with repetitions and the relevant item among its candidates.
  private static func lists(_ draws: inout Draws) -> [Case] {
    (0..<70).map { _ in
      let (user, relevant) = (draws.integer(below: 41), draws.integer(below: 29))
      let count = 1 + draws.integer(below: 12)
      let candidates = (0..<count).map { _ in draws.integer(below: 29) }
      return Case(
        user: user, relevant: relevant, candidates: candidates + candidates.prefix(2) + [relevant])
    }
  }

  private static func text(_ lists: [Case]) -> String {
    lists.map { one in
      "(u\(one.user),i\(one.relevant))" + one.candidates.map { "\ti\($0)" }.joined() + "\n"
    }.joined()
  }

  @Test func figuresOfListsAreTheirDefinitions() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var draws = Draws(seed: 21)
    let lists = Self.lists(&draws)
    let path = try directory.write(Self.text(lists), to: "lists")
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let dense = try lists.map { one in
      Case(
        user: try #require(users.index(of: "u\(one.user)")),
        relevant: try #require(items.index(of: "i\(one.relevant)")),
        candidates: try one.candidates.map { try #require(items.index(of: "i\($0)")) })
    }
    let expected = Self.oracle(dense, cutoffs: [1, 5], score: FullRankerTests.score)
    #expect(try #require(expected.ties) > 0)
    var all: [RankingMetrics] = []
    for (tables, ranks) in [(TablePlacement.replicated, 1), (.replicated, 2), (.sharded, 3)]
      + [(.sharded, 4), (.replicated, 8)]
    {
      all += try Self.onRanks(ranks, dataset, tables: tables) { ranker, context in
        try ranker.evaluate(
          try ListedCases.read(path, dataset: dataset, context: context), cutoffs: [5, 1])
      }
    }
    try Self.expectClose(all[0], expected)
    #expect(all == [RankingMetrics](repeating: all[0], count: 18))
  }

  @Test(arguments: [
    ("(u0,i1)\ti2\n(u0,i1)\ti999\n", ":2: the item 'i999' is not in the dataset"),
    ("(u0,i1)\ti2\n\n(nobody,i1)\ti2\n", ":3: the user 'nobody' is not in the dataset"),
    ("(u0,i999)\ti2\n", ":1: the item 'i999' is not in the dataset"),
    ("", ": the file is empty; expected lines of (user,item) and candidates"),
    ("u0\ti2\n", ": the lines do not name the item that is ranked; expected (user,item) first"),
  ])
  func badListsAreNamedOnAllRanks(text: String, message: String) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let path = try directory.write(text, to: "lists")
    let refusals = try Self.onRanks(3, dataset) { _, context in
      failure { _ = try ListedCases.read(path, dataset: dataset, context: context) }
    }
    #expect(refusals == [Failure?](repeating: .data(path + message), count: 3))
  }

  /// Scores that are no numbers end the evaluation of all ranks with the same words.
  @Test func scoresThatAreNoNumbersAreRefusedOnAllRanks() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let users = try Self.sampled(dataset, .test, .train, CandidateSampling(count: 1)).map(\.user)
    let broken = users[users.count / 2]
    let refusals = try Self.onRanks(
      3, dataset,
      change: { model in
        let row = broken - model.firstUser
        if model.users.held.contains(row) { unsafe model.users.row(row)[0] = .nan }
      },
      { ranker, _ in
        failure {
          _ = try ranker.evaluate(
            .test, cutoffs: [1], mask: .train, sampling: CandidateSampling(count: 5))
        }
      })
    let name = try dataset.userIdentifiers().externalIdentifier(of: Int(broken))
    let expected = Failure.software(
      "a score of user '\(name)' is not a number; the model has diverged: train it with a smaller "
        + "--rate")
    #expect(refusals == [Failure?](repeating: expected, count: 3))
  }
}
