/// One collective as ranks compare it: all ranks' calls of the same number have the same tag.
package struct CallTag: Equatable, Sendable {
  package var kind: Int64
  /// Elements or bytes, where all ranks pass as many.
  package var count: Int64
  /// What else must be the same on all ranks.
  package var detail: Int64
  package var activity: Int64
  /// A digest of this call and all before it.
  package var hash: Int64

  /// The number of 64-bit words in a message.
  package static let wordCount = 5

  package init(kind: Int64, count: Int64, detail: Int64, activity: Int64, hash: Int64) {
    self.kind = kind
    self.count = count
    self.detail = detail
    self.activity = activity
    self.hash = hash
  }

  /// Reads what ``words`` gave.
  package init(words: some RandomAccessCollection<Int64>) {
    let words = Array(words)
    precondition(words.count == Self.wordCount, "a tag has five words")
    self.init(
      kind: words[0], count: words[1], detail: words[2], activity: words[3], hash: words[4])
  }

  package var words: [Int64] { [kind, count, detail, activity, hash] }

  /// Whether the two are the same call, whatever came before it.
  func isSameCall(as other: CallTag) -> Bool {
    (kind, count, detail, activity) == (other.kind, other.count, other.detail, other.activity)
  }

  package var callKind: CallKind? { CallKind(rawValue: kind) }

  /// The call without its phase.
  package var call: String {
    callKind?.description(count: count, detail: detail) ?? "unknown call \(kind)"
  }

  /// The phase in which it was made.
  package var phase: String { (Activity(rawValue: Int(activity)) ?? .start).name }

  package var description: String { "\(call) in phase \(phase)" }
}

/// The newest calls of a rank, oldest first.
package struct RecentCalls: Equatable, Sendable {
  /// The number of the newest, from 1; 0 when there was none.
  package var last: Int
  package var tags: [CallTag]

  package init(last: Int, tags: [CallTag]) {
    self.last = last
    self.tags = tags
  }

  /// The calls that are known here, by number.
  var numbers: Range<Int> { last - tags.count + 1..<last + 1 }

  package subscript(number: Int) -> CallTag? {
    numbers.contains(number) ? tags[number - numbers.lowerBound] : nil
  }

  /// The first call that two ranks made differently.
  ///
  /// - Parameters:
  ///   - rank: Whose calls these are.
  ///   - other: The calls of rank `otherRank`.
  ///   - otherRank: Another rank.
  /// - Returns: `nil` when the calls of the same numbers that both know are the same.
  package func mismatch(
    of rank: Int, with other: RecentCalls, of otherRank: Int
  ) -> CallMismatch? {
    let common = numbers.clamped(to: other.numbers)
    for number in common {
      guard let mine = self[number], let theirs = other[number], mine != theirs else { continue }
      if mine.isSameCall(as: theirs) {
        // They parted before; what is left of it is only the digest.
        return CallMismatch(
          rank, "call \(number), \(mine.description), after calls that are forgotten",
          otherRank, "the same, after other calls")
      }
      let isHidden = mine.description == theirs.description
      let hidden = isHidden ? ", \(mine.callKind?.hiddenDifference ?? "different")" : ""
      return CallMismatch(
        rank, "call \(number), \(mine.description)", otherRank, theirs.description + hidden)
    }
    return nil
  }
}
