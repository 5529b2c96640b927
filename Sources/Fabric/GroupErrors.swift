/// Two ranks made calls that do not fit together.
package struct CallMismatch: Error, Equatable, CustomStringConvertible {
  /// The two ranks.
  package let ranks: [Int]
  /// What each of them called.
  package let calls: [String]

  /// Rank `first` called `firstCall` where rank `second` called `secondCall`.
  package init(_ first: Int, _ firstCall: String, _ second: Int, _ secondCall: String) {
    ranks = [first, second]
    calls = [firstCall, secondCall]
  }

  package var description: String {
    "ranks disagree: rank \(ranks[0]): \(calls[0]); rank \(ranks[1]): \(calls[1])"
  }
}

/// A rank could not do its part of a collective because another one had failed before.
package struct PeerFailure: Error, Equatable, CustomStringConvertible {
  /// The rank that failed first.
  package let rank: Int
  /// Its error as text.
  package let reason: String

  package var description: String { "rank \(rank) failed: \(reason)" }
}

/// One rank failed to open, read, write or close a shared file.
package struct SharedFileError: Error, Equatable, CustomStringConvertible {
  /// What was tried, as a verb: "create", "open", "read", "write", "close".
  package let action: String
  package let path: String
  package let rank: Int
  /// What the operating system or the library said.
  package let reason: String

  package init(_ action: String, _ path: String, rank: Int, reason: String) {
    self.action = action
    self.path = path
    self.rank = rank
    self.reason = reason
  }

  package var description: String { "cannot \(action) \(path) on rank \(rank): \(reason)" }
}
