/// A table for the standard output: aligned columns, two blanks between them.
package struct TextTable: CustomStringConvertible {
  package enum Column {
    case left(String), right(String)

    fileprivate var title: String {
      switch self {
      case .left(let title), .right(let title): title
      }
    }

    fileprivate func align(_ text: String, _ width: Int) -> String {
      let padding = String(repeating: " ", count: max(0, width - text.count))
      return if case .left = self { text + padding } else { padding + text }
    }
  }

  private let columns: [Column]
  private let rows: [[String]]

  /// - Parameters:
  ///   - columns: Titles and alignment.
  ///   - rows: One cell for each column.
  package init(_ columns: [Column], _ rows: [[String]]) {
    precondition(rows.allSatisfy { $0.count == columns.count }, "one cell for each column")
    self.columns = columns
    self.rows = rows
  }

  package var description: String {
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
