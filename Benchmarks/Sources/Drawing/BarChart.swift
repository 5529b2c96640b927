import Measuring

/// Bars side by side in groups, or stacked.
package struct BarChart {
  /// One colour of the legend.
  package struct Series {
    package let name: String
    /// One value per category; `nil` leaves a gap.
    package let values: [Double?]

    package init(_ name: String, _ values: [Double?]) {
      self.name = name
      self.values = values
    }
  }

  private let title: String
  private let unit: String
  private let categories: [String]
  private let series: [Series]
  private let isStacked: Bool

  /// - Parameters:
  ///   - title: Above the picture.
  ///   - unit: Beside the vertical axis.
  ///   - categories: Below the bars.
  ///   - series: The colours; each has one value per category.
  ///   - isStacked: Whether values of a category add up.
  package init(
    title: String, unit: String, categories: [String], series: [Series], isStacked: Bool = false
  ) {
    precondition(
      series.allSatisfy { $0.values.count == categories.count }, "one value for each category")
    self.title = title
    self.unit = unit
    self.categories = categories
    self.series = series
    self.isStacked = isStacked
  }

  /// The picture.
  package var svg: String {
    let sums = categories.indices.map { category in
      series.reduce(0) { $0 + ($1.values[category] ?? 0) }
    }
    let most = isStacked ? sums.max() : series.flatMap { $0.values.compactMap { $0 } }.max()
    var plot = Plot(
      width: 720, height: 360, title: title, unit: unit, vertical: .fromZero(to: most ?? 1))
    plot.legend(series.map(\.name))
    let groupWidth = plot.innerWidth / Double(max(1, categories.count))
    for (category, name) in categories.enumerated() {
      let x = Plot.left + Double(category) * groupWidth
      plot.canvas.text(
        x + groupWidth / 2, plot.bottomEdge + 18, name, anchor: .middle, style: "small")
      drawGroup(&plot, category, x: x + 0.12 * groupWidth, width: 0.76 * groupWidth)
    }
    return plot.canvas.document
  }

  private func drawGroup(_ plot: inout Plot, _ category: Int, x: Double, width: Double) {
    var base = 0.0
    let barWidth = isStacked ? width : width / Double(max(1, series.count))
    for (index, item) in series.enumerated() {
      guard let value = item.values[category] else { continue }
      let top = plot.y(base + value)
      plot.canvas.bar(
        x: isStacked ? x : x + Double(index) * barWidth, y: top, width: barWidth * 0.94,
        height: plot.y(base) - top, series: index,
        title: "\(item.name), \(categories[category]): \(Figure.scaled(value)) \(unit)")
      if isStacked { base += value }
    }
  }
}
