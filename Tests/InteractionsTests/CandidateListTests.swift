import Interactions
import Storage
import Testing

@Suite struct CandidateListTests {
  private func lists(_ text: String) throws -> [CandidateList] {
    let directory = try TemporaryDirectory()
    let reader = try CandidateListReader(path: try directory.write(text, to: "lists"))
    var lists: [CandidateList] = []
    while let list = try reader.next() { lists.append(list) }
    return lists
  }

  @Test(arguments: ["\n", "\r\n"])
  func theHeldOutItemIsNamed(end: String) throws {
    let text = "(0,25)\t1064\t174\(end)\(end)(u 1,é)\t25\t25"
    #expect(
      try lists(text) == [
        CandidateList(user: "0", positive: "25", candidates: ["1064", "174"], line: 1),
        CandidateList(user: "u 1", positive: "é", candidates: ["25", "25"], line: 3),
      ])
  }

  @Test func theHeldOutItemIsNotNamed() throws {
    #expect(
      try lists("7\ta b\tc\n8\td\n") == [
        CandidateList(user: "7", positive: nil, candidates: ["a b", "c"], line: 1),
        CandidateList(user: "8", positive: nil, candidates: ["d"], line: 2),
      ])
  }

  @Test func blanksSeparateWhereThereIsNoTab() throws {
    #expect(
      try lists("(u,i)  a b \n") == [
        CandidateList(user: "u", positive: "i", candidates: ["a", "b"], line: 1)
      ])
  }

  @Test(arguments: [
    ("", ": ", "empty"),
    ("\n \n", ": ", "empty"),
    ("(u,i)\ta\n(u,i)\n", ":2: ", "no candidates"),
    ("(u,i)\ta\nu\ta\n", ":2: ", "'u' where (user,item) is expected"),
    ("(u)\ta\n", ":1: ", "'(u)' where (user,item) is expected"),
    ("(u,i,j)\ta\n", ":1: ", "where (user,item) is expected"),
    ("(,i)\ta\n", ":1: ", "where (user,item) is expected"),
    ("(u,i\ta\n", ":1: ", "where (user,item) is expected"),
    ("(u,i)\ta\t\tb\n", ":1: ", "an id is empty"),
    ("u\ta\n\ta\n", ":2: ", "an id is empty"),
  ])
  func badListsAreNamed(text: String, place: String, message: String) throws {
    let failure = try #require(failure { _ = try lists(text) })
    #expect(failure.kind == .data)
    #expect(failure.message.contains("/lists\(place)"), "\(failure)")
    #expect(failure.message.contains(message), "\(failure)")
  }

  @Test func missingFilesAreInputOutputErrors() {
    #expect(failure { _ = try CandidateListReader(path: "/absent/lists") }?.kind == .inputOutput)
  }

  @Test(arguments: [
    ("(u,i)\tj\n(v,i)\tj\n", "user 'v'"), ("(u,i)\tj\n(u,k)\tj\n", "item 'k'"),
    ("(u,i)\tj\n(u,i)\tj\tk\n", "item 'k'"),
  ])
  func unknownIdsAreNamed(text: String, id: String) throws {
    let directory = try TemporaryDirectory()
    let reader = try CandidateListReader(path: try directory.write(text, to: "lists"))
    func next() throws -> ResolvedCandidateList? {
      try reader.next(users: { ["u": 3][$0] }, items: { ["i": 5, "j": 6][$0] })
    }
    #expect(try next() == ResolvedCandidateList(user: 3, positive: 5, candidates: [6]))
    let failure = try #require(failure { _ = try next() })
    #expect(failure.kind == .data)
    #expect(failure.message.hasSuffix("/lists:2: the \(id) is not in the dataset"), "\(failure)")
  }

  /// The published lists of MovieLens-1M.
  @Test(.enabled(if: realData != nil, "INVERSE_DATA is not set: no folder of real data"))
  func neuralCollaborativeFilteringListsAreRead() throws {
    let reader = try CandidateListReader(
      path: try #require(realData) + "/ncf-ml-1m/test.negative")
    var users: Set<String> = []
    while let list = try reader.next() {
      users.insert(list.user)
      #expect(list.positive != nil)
      #expect(list.candidates.count == 99)
    }
    #expect(users.count == 6_040)
  }
}
