import Measuring

/// The frame of a chart: title, axes with units, grid, legend.
struct Plot {
  static let left = 70.0
  static let right = 20.0
  static let top = 64.0
  static let bottom = 48.0

  var canvas: Canvas
  let vertical: Axis

  init(width: Double, height: Double, title: String, unit: String, vertical: Axis) {
    canvas = Canvas(width: width, height: height)
    self.vertical = vertical
    canvas.text(12, 20, title, style: "title")
    canvas.text(16, (Self.top + height - Self.bottom) / 2, unit, anchor: .middle, rotated: true)
    for tick in vertical.ticks {
      let y = self.y(tick)
      canvas.line(Self.left, y, width - Self.right, y, style: "grid")
      canvas.text(Self.left - 6, y + 4, Figure.tick(tick), anchor: .end, style: "small")
    }
    canvas.line(Self.left, bottomEdge, width - Self.right, bottomEdge, style: "axis")
  }

  var innerWidth: Double { canvas.width - Self.left - Self.right }
  var bottomEdge: Double { canvas.height - Self.bottom }

  /// The height of a value, in pixels from above.
  func y(_ value: Double) -> Double {
    let share = min(max(vertical.position(value), 0), 1)
    return bottomEdge - share * (bottomEdge - Self.top)
  }

  mutating func xLabel(_ text: String) {
    canvas.text(
      Self.left + innerWidth / 2, canvas.height - 8, text, anchor: .middle)
  }

  /// Coloured names in one row below the title.
  mutating func legend(_ names: [String]) {
    var x = Self.left
    for (index, name) in names.enumerated() {
      canvas.bar(x: x, y: 34, width: 10, height: 10, series: index, title: name)
      canvas.text(x + 15, 43, name)
      // Sans-serif letters of 12 px are about 6.6 px wide.
      x += 15 + 6.6 * Double(name.count) + 18
    }
  }
}

extension Figure {
  /// A tick: no digits that are not needed.
  static func tick(_ value: Double) -> String {
    guard value != 0 else { return "0" }
    for (factor, prefix) in [(1e9, " G"), (1e6, " M"), (1e3, " k")] where abs(value) >= factor {
      return plain(value / factor) + prefix
    }
    return plain(value)
  }

  private static func plain(_ value: Double) -> String {
    let rounded = (value * 1e4).rounded() / 1e4
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }
}
