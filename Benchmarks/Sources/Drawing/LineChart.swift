import Measuring

/// Lines over a few points of a common axis, such as ranks.
package struct LineChart {
  /// One colour of the legend.
  package struct Series {
    package let name: String
    /// In ascending order of `x`.
    package let points: [(x: Double, y: Double)]

    package init(_ name: String, _ points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }
  }

  private let title: String
  private let unit: String
  private let xLabel: String
  private let series: [Series]
  private let showsIdeal: Bool

  /// - Parameters:
  ///   - title: Above the picture.
  ///   - unit: Beside the vertical axis.
  ///   - xLabel: Below the horizontal axis.
  ///   - series: The lines.
  ///   - showsIdeal: Whether a dashed line shows `y = x`.
  package init(
    title: String, unit: String, xLabel: String, series: [Series], showsIdeal: Bool = false
  ) {
    self.title = title
    self.unit = unit
    self.xLabel = xLabel
    self.series = series
    self.showsIdeal = showsIdeal
  }

  /// The picture.
  package var svg: String {
    let xs = Set(series.flatMap { $0.points.map(\.x) }).sorted()
    let most = series.flatMap { $0.points.map(\.y) }.max() ?? 1
    let highest = showsIdeal ? max(most, xs.last ?? 1) : most
    var plot = Plot(
      width: 560, height: 380, title: title, unit: unit, vertical: .fromZero(to: highest))
    plot.legend(series.map(\.name))
    plot.xLabel(xLabel)
    let horizontal = Axis.fromZero(to: xs.last ?? 1)
    let width = plot.innerWidth
    func x(_ value: Double) -> Double { Plot.left + horizontal.position(value) * width }
    for value in xs {
      plot.canvas.text(
        x(value), plot.bottomEdge + 18, Figure.tick(value), anchor: .middle, style: "small")
    }
    if showsIdeal, let first = xs.first, let last = xs.last {
      plot.canvas.line(x(first), plot.y(first), x(last), plot.y(last), style: "ideal")
    }
    for (index, item) in series.enumerated() {
      let points = item.points.map { (x: x($0.x), y: plot.y($0.y)) }
      plot.canvas.path(points, style: "s\(index % Canvas.seriesColours)")
      for (pixel, point) in zip(points, item.points) {
        plot.canvas.dot(
          pixel.x, pixel.y, series: index,
          title: "\(item.name), \(Figure.tick(point.x)): \(Figure.scaled(point.y)) \(unit)")
      }
    }
    return plot.canvas.document
  }
}
