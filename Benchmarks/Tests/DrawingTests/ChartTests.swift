import Drawing
import Foundation
import Measuring
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite struct ChartTests {
  /// Whether the text is well-formed XML.
  private func isWellFormed(_ text: String) -> Bool {
    XMLParser(data: Data(text.utf8)).parse()
  }

  private func count(_ part: String, in text: String) -> Int {
    text.components(separatedBy: part).count - 1
  }

  @Test func linearAxisEndsAtARoundNumber() {
    let axis = Axis.fromZero(to: 4.7e6)
    #expect(axis.ticks == [0, 1e6, 2e6, 3e6, 4e6, 5e6])
    #expect(axis.high == 5e6)
    #expect(axis.position(2.5e6) == 0.5)
  }

  @Test(arguments: [0.0, .infinity, -3])
  func axisWithoutValuesIsStillAnAxis(most: Double) {
    #expect(Axis.fromZero(to: most).high == 1)
  }

  @Test func logarithmicAxisHoldsItsValues() {
    let axis = Axis.logarithmic([0.3, 40], base: 2)
    #expect(axis.low == 0.25)
    #expect(axis.high == 64)
    #expect(axis.ticks.count == 9)
    // An exact power is an end, not one short of it.
    #expect(Axis.logarithmic([1, 1000]).ticks == [1, 10, 100, 1000])
  }

  @Test func barsForEveryValueAndNoneForGaps() {
    let svg = BarChart(
      title: "a < b & \"c\"", unit: "rows/s", categories: ["x", "y"],
      series: [.init("one", [1, nil]), .init("two", [2, 3])]
    ).svg
    #expect(isWellFormed(svg))
    // Three bars and two squares of the legend.
    #expect(count("<rect", in: svg) == 5)
    #expect(svg.contains("a &lt; b &amp; &quot;c&quot;"))
    #expect(svg.contains("rows/s</text>"))
    #expect(svg.contains("prefers-color-scheme:dark"))
  }

  @Test func stackedBarsReachTheirSum() throws {
    let svg = BarChart(
      title: "t", unit: "s", categories: ["x"], series: [.init("a", [2]), .init("b", [3])],
      isStacked: true
    ).svg
    // 5 of 5 is the whole height of 248 pixels; the parts share it 2 to 3.
    #expect(svg.contains("height=\"99.2\""))
    #expect(svg.contains("height=\"148.8\""))
  }

  @Test func linesWithTheIdeal() {
    let svg = LineChart(
      title: "t", unit: "×", xLabel: "ranks", series: [.init("a", [(1, 1), (2, 1.8)])],
      showsIdeal: true
    ).svg
    #expect(isWellFormed(svg))
    #expect(count("<circle", in: svg) == 2)
    #expect(count("class=\"ideal\"", in: svg) == 1)
  }

  @Test func rooflineWithCrowdedNames() {
    let roof = Roofline(bandwidth: 1e10, arithmetic: 1e11)
    let svg = RooflineChart(
      title: "t", roofs: [("memory", roof)],
      points: (0..<5).map { .init("k\($0)", intensity: 0.5, rate: 1e9, roof: 0) }
    ).svg
    #expect(isWellFormed(svg))
    #expect(count("<circle", in: svg) == 5)
    // Five names at one place are moved apart.
    let heights = svg.components(separatedBy: "\n").filter { $0.contains(">k") }
    #expect(Set(heights).count == heights.count)
  }
}
