/// Messages that ranks send each other again and again, of lengths that only their senders know.
///
/// Made by ``ProcessGroup/makeRoute(into:_:keeping:)``, which settles once who sends to whom, how
/// long a message can become and where it lands. A *round* has two halves, so that a rank can
/// compute between them:
///
///     write messages ─► start(_:_:) ─► compute elsewhere ─► finish() ─► read what came
///
/// Until ``finish()`` the sent bytes must not change, and nobody looks where messages land. What
/// came stays until the next start. How much of its place a message fills it must say itself.
///
/// The methods are collectives of the whole group, even for a rank that sends and receives nothing.
package protocol MessageRoute: AnyObject {
  /// The longest message that this rank may send to each rank; 0 for those that get none.
  var limits: [Int] { get }

  /// The first half of a round: sends, and begins to receive. Does not block.
  ///
  /// - Parameters:
  ///   - bytes: Holds the messages.
  ///   - messages: For each rank the place of its message in `bytes`, at most as long as its
  ///     limit; several ranks may get the same.
  /// - Throws: `CallMismatch` or `PeerFailure` where the conformer can tell; what the library throws.
  func start(_ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>]) throws

  /// The second half of a round: returns when all messages for this rank have come.
  ///
  /// - Throws: As ``start(_:_:)``.
  func finish() throws
}

/// Notices halves of a round that do not alternate, and messages that are too long.
package struct RoundState {
  /// Whether a first half waits for its second.
  package private(set) var isRunning = false

  package init() {}

  /// Notes a first half.
  ///
  /// - Returns: The bytes of all messages.
  package mutating func start(
    _ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>], _ limits: [Int]
  ) -> Int {
    precondition(!isRunning, "a round of messages is finished before the next one starts")
    precondition(messages.count == limits.count, "a round has one message for each rank")
    isRunning = true
    var total = 0
    for (rank, message) in messages.enumerated() {
      precondition(message.count <= limits[rank], "a message must not be longer than its limit")
      precondition(
        message.isEmpty || message.upperBound <= bytes.count, "the buffer must hold its messages")
      total += message.count
    }
    return total
  }

  /// Notes a second half.
  package mutating func finish() {
    precondition(isRunning, "a round of messages starts before it is finished")
    isRunning = false
  }
}
