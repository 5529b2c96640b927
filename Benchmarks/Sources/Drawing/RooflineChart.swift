import Foundation
package import Measuring

/// Kernels under the roofs of a machine: operations per second over operations per byte, both
/// logarithmic.
package struct RooflineChart {
  /// A kernel.
  package struct Point {
    package let name: String
    /// Operations per byte.
    package let intensity: Double
    /// Operations per second.
    package let rate: Double
    /// The roof it belongs under, as an index.
    package let roof: Int

    package init(_ name: String, intensity: Double, rate: Double, roof: Int) {
      self.name = name
      self.intensity = intensity
      self.rate = rate
      self.roof = roof
    }
  }

  private let title: String
  private let roofs: [(name: String, roofline: Roofline)]
  private let points: [Point]

  /// - Parameters:
  ///   - title: Above the picture.
  ///   - roofs: One per kind of memory; all have the same arithmetic peak.
  ///   - points: The kernels.
  package init(title: String, roofs: [(name: String, roofline: Roofline)], points: [Point]) {
    self.title = title
    self.roofs = roofs
    self.points = points
  }

  /// The picture.
  package var svg: String {
    let corners = roofs.map { $0.roofline.arithmetic / $0.roofline.bandwidth }
    let horizontal = Axis.logarithmic(points.map(\.intensity) + corners, base: 2)
    let limits = roofs.flatMap {
      [$0.roofline.limit(intensity: horizontal.low), $0.roofline.arithmetic]
    }
    var plot = Plot(
      width: 720, height: 460, title: title, unit: "operations per second",
      vertical: .logarithmic(points.map(\.rate) + limits))
    plot.legend(roofs.map(\.name))
    plot.xLabel("operations per byte")
    let width = plot.innerWidth
    func x(_ value: Double) -> Double { Plot.left + horizontal.position(value) * width }
    for tick in horizontal.ticks {
      let label = tick < 1 ? "1/\(Int((1 / tick).rounded()))" : Figure.tick(tick)
      plot.canvas.text(x(tick), plot.bottomEdge + 18, label, anchor: .middle, style: "small")
    }
    for (index, roof) in roofs.enumerated() {
      // The corner lies between the ends, so three points draw the whole roof.
      let turns = [horizontal.low, corners[index], horizontal.high]
      plot.canvas.path(
        turns.map { (x: x($0), y: plot.y(roof.roofline.limit(intensity: $0))) },
        style: "s\(index % Canvas.seriesColours)")
    }
    for point in points {
      plot.canvas.dot(
        x(point.intensity), plot.y(point.rate), series: point.roof,
        title: "\(point.name): \(Figure.scaled(point.rate))FLOP/s")
    }
    drawNames(&plot, x)
    return plot.canvas.document
  }

  /// Names beside the dots, pushed down where they would cover each other.
  private func drawNames(_ plot: inout Plot, _ x: (Double) -> Double) {
    var taken: [(x: Double, y: Double)] = []
    for point in points.sorted(by: { $0.rate > $1.rate }) {
      let left = x(point.intensity) + 7
      var top = plot.y(point.rate) + 4
      // Each move passes at least one name, so this ends.
      while let hit = taken.first(where: { abs($0.x - left) < 110 && abs($0.y - top) < 11 }) {
        top = hit.y + 11.5
      }
      taken.append((left, top))
      plot.canvas.text(left, top, point.name, style: "small")
    }
  }
}
