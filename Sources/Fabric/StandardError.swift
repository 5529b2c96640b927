import Foundation

/// The name of the machine this process runs on, for messages about one rank of many.
package func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown host" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Writes one line to the standard error stream.
///
/// One call to the operating system, so that lines of several ranks do not mix; line breaks inside
/// `line` become spaces. A stream that cannot be written is ignored: there is no other to say so.
package func writeToStandardError(line: String) {
  let text = line.split(whereSeparator: \.isNewline).joined(separator: " ") + "\n"
  unsafe Array(text.utf8).withUnsafeBytes { bytes in
    _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
  }
}

/// The line about a failure of one rank: `rank <rank> on <host>: <reason>`.
package func failureLine(_ reason: String, rank: Int) -> String {
  "rank \(rank) on \(hostName()): \(reason)"
}
