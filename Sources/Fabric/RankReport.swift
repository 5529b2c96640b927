/// What a rank tells the others about itself about twice a second.
package struct RankReport: Equatable, Sendable {
  /// How a rank fares.
  package enum State: Int64, Sendable {
    case running = 0
    /// It has failed and is about to end the job.
    case failing
    /// It has left the job in order.
    case done
    /// Whoever gets this ends with exit code ``RankReport/code``: the reason has been told.
    case end
  }

  package var rank: Int
  package var state: State
  /// The exit code that goes with ``State/end``.
  package var code: Int32 = 0
  package var activity = Activity.start
  package var epoch = 0
  package var step = 0
  /// Whether the newest call has not returned.
  package var isInside = false
  /// For how many seconds the rank has neither begun nor ended anything; time in which the whole
  /// process was stopped does not count.
  package var age = 0.0
  package var calls = RecentCalls(last: 0, tags: [])

  /// The calls that travel with a report.
  package static let callCount = 16
  private static let headerCount = 11
  /// The 64-bit words of every report.
  package static let wordCount = headerCount + callCount * CallTag.wordCount

  package init(rank: Int, state: State) {
    self.rank = rank
    self.state = state
  }

  /// The words of a message of the job that is known by `token`; always as many.
  package func words(token: Int64) -> [Int64] {
    let tags = calls.tags.suffix(Self.callCount)
    var words: [Int64] = [
      token, Int64(rank), state.rawValue, Int64(code), Int64(activity.rawValue), Int64(epoch),
      Int64(step), isInside ? 1 : 0, Int64(age * 1000), Int64(calls.last), Int64(tags.count),
    ]
    words += tags.flatMap(\.words)
    return words + [Int64](repeating: 0, count: Self.wordCount - words.count)
  }

  /// Reads a message; `nil` when it is none of the job that is known by `token`.
  package init?(words: [Int64], token: Int64) {
    guard words.count == Self.wordCount, words[0] == token,
      let state = State(rawValue: words[2]), let activity = Activity(rawValue: Int(words[4])),
      let code = Int32(exactly: words[3]), (0...Int64(Self.callCount)).contains(words[10]),
      (words[10]..<1 << 60).contains(words[9])
    else { return nil }
    self.init(rank: Int(words[1]), state: state)
    self.code = code
    self.activity = activity
    (epoch, step) = (Int(words[5]), Int(words[6]))
    isInside = words[7] != 0
    age = Double(words[8]) / 1000
    calls = RecentCalls(
      last: Int(words[9]),
      tags: (0..<Int(words[10])).map {
        let start = Self.headerCount + $0 * CallTag.wordCount
        return CallTag(words: words[start..<start + CallTag.wordCount])
      })
  }

  /// The newest call.
  var call: CallTag? { calls[calls.last] }

  /// Whether this rank is in a call that may be waiting for others.
  var isWaiting: Bool { isInside && call?.callKind?.isWaiting != false }

  /// Where in the run it is, in words.
  var place: String {
    let phase = "phase \(activity.name)"
    return step > 0 ? "\(phase) of epoch \(epoch), step \(step)" : phase
  }

  /// The newest call in words.
  var callText: String {
    guard let call else { return "call \(calls.last)" }
    return "call \(calls.last) (\(call.call))"
  }
}
