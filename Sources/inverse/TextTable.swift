/// A table for the standard output: aligned columns, two blanks between them.
struct TextTable: CustomStringConvertible {
  enum Column {
    case left(String), right(String)

    var title: String {
      switch self {
      case .left(let title), .right(let title): title
      }
    }

    /// `text` padded to `width`.
    func align(_ text: String, _ width: Int) -> String {
      let padding = String(repeating: " ", count: max(0, width - text.count))
      return if case .left = self { text + padding } else { padding + text }
    }
  }

  let columns: [Column]
  let rows: [[String]]

  var description: String {
    let lines = [columns.map(\.title)] + rows
    let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { line in
      let cells = columns.indices.map { columns[$0].align(line[$0], widths[$0]) }
      var text = cells.joined(separator: "  ")
      while text.last == " " { text.removeLast() }
      return text
    }.joined(separator: "\n")
  }
}
