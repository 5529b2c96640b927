package import Storage

/// One line of a file of candidate lists: what a user's held-out item is ranked among.
package struct CandidateList: Equatable, Sendable {
  /// External ids.
  package var user: String
  /// The held-out item, when the line names it.
  package var positive: String?
  /// As in the file: repetitions stay, and the held-out item may be among them.
  package var candidates: [String]
  /// The number of the line, from 1.
  package var line: Int

  package init(user: String, positive: String?, candidates: [String], line: Int) {
    self.user = user
    self.positive = positive
    self.candidates = candidates
    self.line = line
  }
}

/// A ``CandidateList`` with the dense ids of a dataset.
package struct ResolvedCandidateList: Equatable, Sendable {
  package var user: Int
  package var positive: Int?
  package var candidates: [Int]

  package init(user: Int, positive: Int?, candidates: [Int]) {
    self.user = user
    self.positive = positive
    self.candidates = candidates
  }
}

/// Reads the candidate lists of leave-one-out evaluation, one user per line.
///
///     (user,item)⇥candidate⇥candidate …      the held-out item is named
///     user⇥candidate⇥candidate …             it is not
///
/// The first form is that of the `test.negative` files of He et al., *Neural Collaborative
/// Filtering*, WWW 2017. The first line that is not blank decides for the whole file: the form by
/// its first byte, and the separator, a tab or else runs of blanks. Lines may end with CR LF; ids
/// are taken byte for byte.
///
/// Nothing of a dataset is needed to read a file; memory does not grow with it.
///
///     let reader = try CandidateListReader(path: "test.negative")
///     while let list = try reader.next() { use(list.user, list.positive, list.candidates) }
package final class CandidateListReader {
  /// Whether the lines name the held-out item.
  package let namesPositive: Bool
  private var lines: LineReader
  private let isTabbed: Bool

  /// Opens a file of lists.
  ///
  /// - Throws: `Failure`: `inputOutput` when it cannot be read, data when it is empty.
  package init(path: String) throws(Failure) {
    let lines = try LineReader.open(path)
    guard let first = lines.preview(1).first else {
      throw .data("\(path): the file is empty; expected lines of (user,item) and candidates")
    }
    namesPositive = first.first(where: { !Ascii.isBlank($0) }) == Ascii.opening
    isTabbed = first.contains(Ascii.tab)
    self.lines = lines
  }

  package var path: String { lines.path }
  /// The number of the line last read, from 1.
  package var line: Int { lines.number }

  /// Reads one more list.
  ///
  /// - Returns: `nil` after the last.
  /// - Throws: `Failure`: data naming file and line for a line that is no list, or `inputOutput`.
  package func next() throws(Failure) -> CandidateList? {
    while let line = unsafe try lines.next() {
      let fields = unsafe split(line)
      if fields.isEmpty { continue }
      return try list(fields)
    }
    return nil
  }

  /// Reads one more list and looks its ids up.
  ///
  /// - Parameters:
  ///   - users: The dense id of a user, or `nil` for one that is unknown.
  ///   - items: The same of an item.
  /// - Returns: `nil` after the last.
  /// - Throws: As ``next()``, and data naming file, line and id for one that is unknown.
  package func next(
    users: (String) -> Int?, items: (String) -> Int?
  ) throws(Failure) -> ResolvedCandidateList? {
    guard let list = try next() else { return nil }
    guard let user = users(list.user) else { throw unknown("user", list.user) }
    var positive: Int?
    if let item = list.positive {
      guard let known = items(item) else { throw unknown("item", item) }
      positive = known
    }
    var candidates: [Int] = []
    candidates.reserveCapacity(list.candidates.count)
    for item in list.candidates {
      guard let known = items(item) else { throw unknown("item", item) }
      candidates.append(known)
    }
    return ResolvedCandidateList(user: user, positive: positive, candidates: candidates)
  }

  /// A data failure at the current line.
  package func failure(_ message: String) -> Failure { .data("\(path):\(line): \(message)") }

  private func unknown(_ kind: String, _ identifier: String) -> Failure {
    failure("the \(kind) '\(excerpt(identifier))' is not in the dataset")
  }

  private func list(_ fields: [String]) throws(Failure) -> CandidateList {
    let candidates = Array(fields.dropFirst())
    guard !candidates.isEmpty else {
      throw failure(
        "no candidates; expected \(namesPositive ? "(user,item)" : "a user") and candidates, "
          + "separated by \(isTabbed ? "tabs" : "blanks")")
    }
    guard fields.allSatisfy({ !$0.isEmpty }) else {
      throw failure("an id is empty; is a separator written twice, or one at the end?")
    }
    guard namesPositive else {
      return CandidateList(user: fields[0], positive: nil, candidates: candidates, line: line)
    }
    let head = fields[0]
    let parts = head.dropFirst().dropLast().split(
      separator: ",", omittingEmptySubsequences: false)
    guard head.hasPrefix("("), head.hasSuffix(")"), parts.count == 2,
      parts.allSatisfy({ !$0.isEmpty })
    else {
      throw failure("'\(excerpt(head))' where (user,item) is expected, as in the first line")
    }
    return CandidateList(
      user: String(parts[0]), positive: String(parts[1]), candidates: candidates, line: line)
  }

  /// The fields of a line; none for a line of blanks.
  private func split(_ line: UnsafeRawBufferPointer) -> [String] {
    if unsafe line.allSatisfy(Ascii.isBlank) { return [] }
    let parts =
      unsafe isTabbed
      ? line.split(separator: Ascii.tab, omittingEmptySubsequences: false)
      : line.split(whereSeparator: Ascii.isBlank)
    return unsafe parts.map { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
