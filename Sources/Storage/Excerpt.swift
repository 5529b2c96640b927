/// Text of a file that nobody vouches for as part of a message: one line of at most 80 bytes.
///
/// - Parameter text: Any text.
/// - Returns: Its start; blanks in place of control characters and ends of lines, and `…` in place
///   of what is left out.
package func excerpt(_ text: some StringProtocol) -> String {
  let limit = 80
  var line = String.UnicodeScalarView()
  var size = 0
  for scalar in text.unicodeScalars {
    size += UTF8.width(scalar)
    guard size <= limit else { return String(line) + "…" }
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: line.append(" ")
    default: line.append(scalar)
    }
  }
  return String(line)
}
