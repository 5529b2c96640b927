import Kernels
import Testing

/// The best of many scores, against sorting all of them.
@Suite struct TopKSelectionTests {
  enum Scores: CaseIterable, Sendable {
    case spread, manyTies, allEqual, ascending, descending, extremes

    func make(_ count: Int) -> [Float] {
      var draws = Draws(seed: 7)
      return (0..<count).map { item in
        switch self {
        case .spread: draws.float()
        case .manyTies: Float(draws.integer(below: 5)) - 2
        case .allEqual: -0.25
        case .ascending: Float(item)
        case .descending: Float(-item)
        case .extremes:
          [
            .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 3.4e38,
            -3.4e38,
          ][draws.integer(below: 8)]
        }
      }
    }
  }

  /// Items from the best to the worst: larger scores first, then smaller ids.
  static func ranking(_ scores: [Float], without excluded: Set<UInt32> = []) -> [UInt32] {
    scores.indices.map { UInt32($0) }.filter { !excluded.contains($0) }
      .sorted { (scores[Int($1)], $0) < (scores[Int($0)], $1) }
  }

  /// Takes in all scores in pieces and returns the best.
  private func select(
    _ scores: [Float], limit: Int, piece: Int, excluded: [UInt32] = []
  ) -> [UInt32]? {
    let selection = TopKSelection(rows: 3, limit: limit)
    let (memory, best) = (AlignedBuffer(scores), AlignedBuffer<UInt32>(count: limit))
    var areNumbers = true
    for start in stride(from: 0, to: scores.count, by: piece) {
      unsafe excluded.withUnsafeBufferPointer { excluded in
        areNumbers =
          unsafe selection.scan(
            row: 1, scores: memory.pointer + start, count: min(piece, scores.count - start),
            firstItem: start, excluded: excluded) && areNumbers
      }
    }
    let count = unsafe selection.finish(row: 1, into: best.pointer)
    withExtendedLifetime(memory) {}
    return areNumbers ? best.prefix(count) : nil
  }

  @Test(arguments: Scores.allCases, [0, 1, 7, 31, 32, 33, 200, 1000])
  func theBestAreThoseOfAFullSort(_ kind: Scores, count: Int) {
    let scores = kind.make(count)
    let expected = Self.ranking(scores)
    for limit in [1, 2, 17, 64, 100, 1000, 1001] {
      for piece in [1, 8, 129, 1000] {
        #expect(
          select(scores, limit: limit, piece: piece) == Array(expected.prefix(limit)),
          "\(limit) of \(count) in pieces of \(piece)")
      }
    }
  }

  @Test(arguments: Scores.allCases)
  func excludedItemsAreNotAmongThem(_ kind: Scores) {
    let scores = kind.make(700)
    let first = Self.ranking(scores)
    // The very best, every third, none, all but one, all.
    let lists: [[UInt32]] = [
      first.prefix(150).sorted(), (0..<700).filter { $0 % 3 == 0 }, [], (1..<700).map { $0 },
      (0..<700).map { $0 },
    ]
    for excluded in lists {
      let expected = Self.ranking(scores, without: Set(excluded))
      for limit in [1, 50, 700] {
        #expect(
          select(scores, limit: limit, piece: 96, excluded: excluded)
            == Array(expected.prefix(limit)))
      }
    }
  }

  @Test(arguments: [0, 5, 31, 40, 511, 699])
  func whatIsNotANumberIsReported(place: Int) {
    var scores = Scores.spread.make(700)
    scores[place] = .nan
    for limit in [1, 100, 700] {
      #expect(select(scores, limit: limit, piece: 96) == nil)
      let without = select(scores, limit: limit, piece: 96, excluded: [UInt32(place)])
      #expect(without?.count == min(limit, 699))
      #expect(without?.contains(UInt32(place)) == false)
    }
  }

  @Test func aSelectionStartsAnew() {
    let selection = TopKSelection(rows: 1, limit: 2)
    let best = AlignedBuffer<UInt32>(count: 2)
    for scores: [Float] in [[9, 8, 7], [1, 3, 2]] {
      let memory = AlignedBuffer(scores)
      selection.clear()
      #expect(
        unsafe selection.scan(
          row: 0, scores: memory.pointer, count: 3, firstItem: 0,
          excluded: UnsafeBufferPointer(start: nil, count: 0)))
      #expect(unsafe selection.finish(row: 0, into: best.pointer) == 2)
      withExtendedLifetime(memory) {}
    }
    #expect(best.values == [1, 2])
  }

  @Test func impossibleSizesAreRefused() async {
    await #expect(processExitsWith: .failure) { _ = TopKSelection(rows: 1, limit: 0) }
    await #expect(processExitsWith: .failure) { _ = TopKSelection(rows: 0, limit: 1) }
    await #expect(processExitsWith: .failure) {
      let best = AlignedBuffer<UInt32>(count: 1)
      _ = unsafe TopKSelection(rows: 1, limit: 1).finish(row: 1, into: best.pointer)
    }
  }
}
