import Randomness
import Testing

@Suite struct PhiloxTests {
  /// The three known answers published with Random123 (`kat_vectors`, philox4x32 10).
  @Test func matchesThePublishedVectors() {
    #expect(
      Philox(key: SIMD2(0, 0)).words(counter: SIMD4(repeating: 0))
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    #expect(
      Philox(key: SIMD2(repeating: .max)).words(counter: SIMD4(repeating: .max))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      Philox(key: SIMD2(0xa409_3822, 0x299f_31d0)).words(
        counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func purposesEpochsRowsAndDrawsAreDifferentStreams() {
    var seen = Set<SIMD4<UInt32>>()
    for purpose in [Philox.Purpose.order, .unlabeled] {
      for (epoch, row, draw) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1 << 32, 0)] {
        seen.insert(Philox(seed: 7, purpose: purpose).words(epoch: epoch, row: row, draw: draw))
      }
    }
    #expect(seen.count == 10)
  }

  /// Rows and draws beyond 32 bits, and all numbers of draws beside those that go eight at a time.
  @Test func wordsOfManyDrawsAreThoseOfEach() {
    let random = Philox(seed: 9, purpose: .verification)
    for (row, first, count) in [
      (0, 0, 8), (5, 3, 1), (1 << 33 + 7, 11, 7), (41, 100, 16), (.max, (1 << 32) - 5, 27),
      (2, 4, 0),
    ] {
      let draws = first..<first + count
      let filled = unsafe [UInt32](unsafeUninitializedCapacity: 4 * count) { buffer, initialized in
        if let base = buffer.baseAddress {
          unsafe random.fill(base, draws: draws, epoch: 3, row: row)
        }
        initialized = 4 * count
      }
      let wanted = draws.flatMap { draw in
        let words = random.words(epoch: 3, row: row, draw: draw)
        return (0..<4).map { words[$0] }
      }
      #expect(filled == wanted)
    }
  }

  /// Counts of 60,000 draws in 6 classes: χ² with 5 degrees of freedom exceeds 35 with
  /// probability 1.5e-6.
  @Test func integersAreUniform() {
    let random = Philox(seed: 3, purpose: .verification)
    var counts = [Int](repeating: 0, count: 6)
    for row in 0..<60_000 { counts[random.integer(below: 6, row: row)] += 1 }
    let statistic = counts.reduce(0.0) { $0 + (Double($1) - 10_000) * (Double($1) - 10_000) }
    #expect(statistic / 10_000 < 35)
  }

  /// Mean and variance of 40,000 draws: the standard errors are 0.005 and 0.007; six of them.
  @Test func normalDrawsHaveMeanZeroAndVarianceOne() {
    let random = Philox(seed: 5, purpose: .verification)
    var (sum, squares) = (0.0, 0.0)
    for row in 0..<20_000 {
      let (first, second) = random.normalPair(row: row)
      sum += first + second
      squares += first * first + second * second
    }
    #expect(abs(sum / 40_000) < 0.03)
    #expect(abs(squares / 40_000 - 1) < 0.042)
  }
}

@Suite struct PermutationTests {
  @Test(arguments: [0, 1, 2, 3, 4, 5, 16, 17, 1000, 4097])
  func visitsEveryElementOnce(count: Int) {
    let order = Permutation(count: count, seed: 1, purpose: .order, epoch: 2, stream: 3)
    #expect((0..<count).map { order[$0] }.sorted() == Array(0..<count))
  }

  @Test func fillingWritesTheSameElements() {
    let order = Permutation(count: 100, seed: 1, purpose: .order)
    let filled = unsafe [Int](unsafeUninitializedCapacity: 40) { buffer, count in
      if let base = buffer.baseAddress { unsafe order.fill(base, positions: 30..<70) }
      count = 40
    }
    #expect(filled == (30..<70).map { order[$0] })
  }

  /// Looked up or computed, in blocks that end anywhere; the last is too large for tables.
  @Test(arguments: [1, 2, 255, 256, 257, 511, 4097, 37_508, 1 << 20, (1 << 20) + 1])
  func roundsThatAreLookedUpGiveTheSameElements(count: Int) {
    let rounds = PermutationRounds(count: count)
    for epoch in 0..<2 {
      let order = Permutation(count: count, seed: 5, purpose: .order, epoch: epoch, stream: 1)
      rounds.fill(for: order)
      let positions = max(0, count / 2 - 100)..<min(count, count / 2 + 101)
      let filled = unsafe [Int](unsafeUninitializedCapacity: positions.count) { buffer, count in
        if let base = buffer.baseAddress {
          unsafe order.fill(base, positions: positions, rounds: rounds)
        }
        count = positions.count
      }
      #expect(filled == positions.map { order[$0] })
    }
  }

  @Test func epochsAndStreamsDiffer() {
    func order(_ epoch: Int, _ stream: Int) -> [Int] {
      let order = Permutation(count: 100, seed: 1, purpose: .order, epoch: epoch, stream: stream)
      return (0..<100).map { order[$0] }
    }
    #expect(order(0, 0) == order(0, 0))
    #expect(order(0, 0) != order(1, 0))
    #expect(order(0, 0) != order(0, 1))
  }

  /// Over 40,000 orders of 8 elements, (position, element) counts have mean 5,000 and standard
  /// deviation 66; and neighbours (i, i + 1) stand side by side as often as in a uniform order,
  /// 7 pairs · 1/8 of the orders each · 5,000. Six standard deviations.
  @Test func ordersOfSmallSetsAreUniform() {
    var counts = [Int](repeating: 0, count: 64)
    var neighbours = 0
    for epoch in 0..<40_000 {
      let order = Permutation(count: 8, seed: 11, purpose: .order, epoch: epoch)
      for position in 0..<8 {
        counts[position * 8 + order[position]] += 1
        if position > 0, order[position] == order[position - 1] + 1 { neighbours += 1 }
      }
    }
    #expect(counts.allSatisfy { abs($0 - 5_000) < 400 })
    #expect(abs(neighbours - 35_000) < 1_200)
  }
}
