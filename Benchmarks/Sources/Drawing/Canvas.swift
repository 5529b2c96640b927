import Foundation

/// An SVG picture under construction, for light and dark pages alike.
///
/// Colours are classes of a style sheet inside the picture, which follows the reader's colour
/// scheme. The background stays transparent.
package struct Canvas {
  package enum Anchor: String {
    case start, middle, end
  }

  package static let seriesColours = 7

  package let width: Double
  package let height: Double
  private var body = ""

  package init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  /// A line between two points; `style` is `axis`, `grid`, `roof` or `s0` … `s6`.
  package mutating func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, style: String
  ) {
    body += "<line class=\"\(style)\" x1=\"\(n(x1))\" y1=\"\(n(y1))\" x2=\"\(n(x2))\""
    body += " y2=\"\(n(y2))\"/>\n"
  }

  /// A filled rectangle with a text that appears under the pointer.
  package mutating func bar(
    x: Double, y: Double, width: Double, height: Double, series: Int, title: String
  ) {
    body += "<rect class=\"f\(series % Self.seriesColours)\" x=\"\(n(x))\" y=\"\(n(y))\""
    body += " width=\"\(n(width))\" height=\"\(n(max(0, height)))\">"
    body += "<title>\(Self.escaped(title))</title></rect>\n"
  }

  /// A path through points.
  package mutating func path(_ points: [(x: Double, y: Double)], style: String) {
    let text = points.map { "\(n($0.x)),\(n($0.y))" }.joined(separator: " ")
    body += "<polyline class=\"\(style)\" points=\"\(text)\"/>\n"
  }

  /// A dot with a text that appears under the pointer.
  package mutating func dot(_ x: Double, _ y: Double, series: Int, title: String) {
    body += "<circle class=\"f\(series % Self.seriesColours)\" cx=\"\(n(x))\" cy=\"\(n(y))\""
    body += " r=\"4\"><title>\(Self.escaped(title))</title></circle>\n"
  }

  /// A text; `style` is empty, `title` or `small`, and `rotated` turns it a quarter to the left.
  package mutating func text(
    _ x: Double, _ y: Double, _ text: String, anchor: Anchor = .start, style: String = "",
    rotated: Bool = false
  ) {
    body += "<text x=\"\(n(x))\" y=\"\(n(y))\" text-anchor=\"\(anchor.rawValue)\""
    if !style.isEmpty { body += " class=\"\(style)\"" }
    if rotated { body += " transform=\"rotate(-90 \(n(x)) \(n(y)))\"" }
    body += ">\(Self.escaped(text))</text>\n"
  }

  /// The whole picture.
  package var document: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(n(width)) \(n(height))" \
    width="\(n(width))" height="\(n(height))" role="img">
    <style>
    \(Self.style)
    </style>
    \(body)</svg>

    """
  }

  // Mid tones that keep their contrast on white and on near-black; told apart by lightness too.
  private static let light = [
    "#2f6db5", "#d9822b", "#3f8f4f", "#b5443c", "#7a5ea8", "#8a6a4f", "#5f6b76",
  ]
  private static let dark = [
    "#6aa5e8", "#f0a95c", "#74c283", "#ea7f77", "#ac93d8", "#c2a083", "#9aa7b3",
  ]

  private static var style: String {
    func colours(_ list: [String]) -> String {
      list.enumerated().map { index, colour in
        ".f\(index){fill:\(colour)}.s\(index){stroke:\(colour);stroke-width:2;fill:none}"
      }.joined(separator: "\n")
    }
    return """
      text{font:12px sans-serif;fill:#24292f}.title{font-size:15px;font-weight:bold}
      .small{font-size:11px;fill:#57606a}
      .axis{stroke:#57606a}.grid{stroke:#d0d7de;stroke-width:.7}
      .roof{stroke:#57606a;stroke-width:2;fill:none}
      .ideal{stroke:#8c959f;stroke-dasharray:5 4;fill:none}
      \(colours(light))
      @media (prefers-color-scheme:dark){
      text{fill:#e6edf3}.small{fill:#9aa4af}.axis,.roof{stroke:#9aa4af}.grid{stroke:#3a424c}
      \(colours(dark))
      }
      """
  }

  /// Text as XML holds it.
  package static func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }

  /// A coordinate to a tenth of a pixel.
  private func n(_ value: Double) -> String {
    let text = String(format: "%.1f", value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
