import Measuring
import Testing

@Suite struct FigureTests {
  @Test(arguments: [
    (0.0, "0"), (1, "1.00"), (12.34, "12.3"), (123.4, "123"), (1234, "1234"), (0.01234, "0.0123"),
    (-0.5, "-0.500"), (Double.infinity, "–"),
  ])
  func threeDigits(value: Double, text: String) {
    #expect(Figure.short(value) == text)
  }

  @Test(arguments: [(999.0, "999"), (1e3, "1.00 k"), (5.06e6, "5.06 M"), (2.5e9, "2.50 G")])
  func prefixes(value: Double, text: String) {
    #expect(Figure.scaled(value) == text)
  }

  @Test func spreadIsLeftOutForOneSample() {
    #expect(Figure.spread(Summary([2])) == "2.00")
    #expect(Figure.spread(Summary([1, 2, 4])) == "2.00 (1.00–4.00)")
  }

  @Test func columnsAreAligned() {
    let table = TextTable([.left("name"), .right("value")], [["a", "1"], ["longer", "10"]])
    #expect(table.description == "name    value\na           1\nlonger     10")
  }
}
