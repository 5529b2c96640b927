import Foundation

/// A failure that the user can act on: one line, and the exit code that scripts see.
///
/// The message says what is wrong, where (file and line, key or tensor) and, where it helps,
/// what to do. The codes are those of `sysexits.h`.
package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// What went wrong, as an exit code.
  package enum Kind: Int32, Sendable {
    /// The command line or a configuration asks for something impossible.
    case usage = 64
    /// An input file, a dataset or a checkpoint does not hold what it must.
    case data = 65
    /// A rank of the job did not answer, or was waited for too long.
    case unavailable = 69
    /// The program itself, or the numbers it was given to train with, went astray.
    case software = 70
    /// The operating system refused to read or write.
    case inputOutput = 74
    /// The job was asked to stop, did so after a checkpoint, and can be resumed.
    case interrupted = 75
  }

  package let kind: Kind
  package let message: String

  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  package static func usage(_ message: String) -> Failure { Failure(.usage, message) }
  package static func data(_ message: String) -> Failure { Failure(.data, message) }
  package static func software(_ message: String) -> Failure { Failure(.software, message) }

  /// The last call into the operating system failed: `cannot <action> <path>: <reason>`.
  ///
  /// - Parameters:
  ///   - action: What was tried, as a verb: "read", "write", "create".
  ///   - path: The file.
  ///   - code: The value of `errno` left by the call.
  /// - Returns: The failure, for the caller to throw.
  package static func inputOutput(_ action: String, _ path: String, errno code: Int32) -> Failure {
    Failure(.inputOutput, "cannot \(action) \(path): \(unsafe String(cString: strerror(code)))")
  }

  package var description: String { message }
}
