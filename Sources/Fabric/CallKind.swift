/// The collectives, as numbers that ranks can compare.
package enum CallKind: Int64, Sendable {
  case exchange = 1
  case gather, broadcast, sumFloat, sumDouble, sumInt64, maximum, barrier
  case openFile, createFile, writeFile, readFile, closeFile
  case shareMemory, arrive, wait, closeMemory
  case makeRoute, startRound, finishRound
  case synchronizeFile

  /// What a rank was doing, for an error message.
  package func description(count: Int64, detail: Int64) -> String {
    switch self {
    case .exchange: "exchange"
    case .gather: "gather of \(count) bytes"
    case .broadcast: "broadcast of \(count) bytes from rank \(detail)"
    case .sumFloat: "sum of \(count) Float"
    case .sumDouble: "sum of \(count) Double"
    case .sumInt64: "sum of \(count) Int64"
    case .maximum: "maximum of \(count) Int64"
    case .barrier: "barrier"
    case .openFile: "open a file"
    case .createFile: "create a file of \(count) bytes"
    case .writeFile: "write a file"
    case .readFile: "read a file"
    case .closeFile: "close a file"
    case .synchronizeFile: "bring a file to the disk"
    case .shareMemory: "share memory"
    case .arrive: "arrive at a fence of memory \(detail)"
    case .wait: "wait at a fence of memory \(detail)"
    case .closeMemory: "close memory \(detail)"
    case .makeRoute: "make a route of messages"
    case .startRound: "start messages of route \(detail)"
    case .finishRound: "finish messages of route \(detail)"
    }
  }

  /// What the detail stands for where the description does not show it.
  var hiddenDifference: String {
    switch self {
    case .gather: "divided differently"
    case .shareMemory: "of another layout"
    default: "of another path"
    }
  }

  /// Whether a rank inside such a call may be waiting for others, and is not only working itself.
  package var isWaiting: Bool {
    switch self {
    case .arrive, .startRound, .writeFile, .readFile: false
    default: true
    }
  }
}
