import Kernels
import Sharding
import Testing

@Suite struct RowTableTests {
  private static let layout = RowLayout(factors: 9, hasBias: true)
  private static let optimizers: [RowOptimizer] = [
    .gradientDescent, .adagrad, .rowwiseAdagrad, .adam,
  ]
  private static let keys: [UInt32] = [5, 6, 8]

  /// Rows `0 ..< 12` or a part of them, filled with values that do not depend on the part.
  private static func table(
    _ held: Range<Int>, owned: Range<Int>, _ optimizer: RowOptimizer
  ) -> RowTable {
    let table = RowTable(layout: layout, held: held, owned: owned, optimizer: optimizer)
    for row in held {
      var draws = Draws(seed: UInt64(row))
      for column in 0..<layout.factors { unsafe table.row(row)[column] = draws.float() }
      unsafe table.row(row)[layout.biasColumn] = draws.float()
    }
    return table
  }

  private static func rows(_ table: RowTable, _ rows: some Sequence<Int>) -> [[Float]] {
    withExtendedLifetime(table) {
      rows.map { row in (0..<layout.stride).map { unsafe table.row(row)[$0] } }
    }
  }

  /// Gradients of ``keys``, padding zero.
  private static func gradients() -> AlignedBuffer<Float> {
    var draws = Draws(seed: 99)
    let buffer = AlignedBuffer<Float>(count: keys.count * layout.stride)
    for row in keys.indices {
      for column in Array(0..<layout.factors) + [layout.biasColumn] {
        unsafe buffer.pointer[row * layout.stride + column] = draws.float()
      }
    }
    return buffer
  }

  private static func update(_ table: RowTable, _ optimizer: RowOptimizer, steps: Int) {
    let (index, gradients) = (AlignedBuffer(keys), gradients())
    for number in 1...steps {
      unsafe table.update(
        RowOptimizer.Step(optimizer, rate: 0.125, decay: 0.5, number: number),
        index: index.pointer, count: keys.count, gradients: gradients.pointer)
    }
    withExtendedLifetime((index, gradients)) {}
  }

  /// 9 factors and a bias: two blocks and one more.
  @Test func sizesFollowFromTheLayout() {
    #expect(Self.layout.stride == 24)
    let counts = Self.optimizers.map {
      Self.table(2..<9, owned: 5..<9, $0).state.map(\.count)
    }
    #expect(counts == [[], [96], [4], [96, 96]])
    let table = Self.table(2..<9, owned: 5..<9, .adam)
    #expect(table.weights.count == 7 * 24)
    #expect(table.columns == 10)
    let bare = RowTable(
      layout: RowLayout(factors: 8, hasBias: false), stride: 32, held: 0..<2, owned: 0..<2,
      optimizer: .adam)
    #expect(bare.columns == 8 && bare.weights.count == 64)
  }

  @Test func gradientDescentIsItsFormula() {
    let table = Self.table(0..<12, owned: 0..<12, .gradientDescent)
    let before = Self.rows(table, 0..<12)
    Self.update(table, .gradientDescent, steps: 1)
    let gradients = Self.gradients().values
    for (row, after) in Self.rows(table, 0..<12).enumerated() {
      guard let place = Self.keys.firstIndex(of: UInt32(row)) else {
        #expect(after == before[row])
        continue
      }
      for column in 0..<Self.layout.stride {
        let gradient = gradients[place * Self.layout.stride + column]
        let (theta, g) = (Double(before[row][column]), Double(gradient))
        // The decayed gradient is rounded once, its product with a power of two is exact, and
        // the difference is rounded once.
        let slope = abs(0.125 * (g + 0.5 * theta))
        let bound = roundoff * (slope + (abs(theta) + slope) * 1.01)
        #expect(abs(Double(after[column]) - (theta - 0.125 * (g + 0.5 * theta))) <= bound)
      }
    }
  }

  /// A table that holds a part, and one whose state starts elsewhere than its weights, do what a
  /// whole table does.
  @Test(arguments: [0, 1, 2, 3]) func aPartOfATableBehavesLikeTheWhole(optimizer: Int) {
    let optimizer = Self.optimizers[optimizer]
    let whole = Self.table(0..<12, owned: 0..<12, optimizer)
    let replica = Self.table(0..<12, owned: 5..<9, optimizer)
    let part = Self.table(5..<9, owned: 5..<9, optimizer)
    for table in [whole, replica, part] { Self.update(table, optimizer, steps: 3) }
    #expect(Self.rows(replica, 0..<12) == Self.rows(whole, 0..<12))
    #expect(Self.rows(part, 5..<9) == Self.rows(whole, 5..<9))
    #expect(part.state.map(\.values) == replica.state.map(\.values))
    for (mine, all, count) in zip3(part.state, whole.state, part.stateCounts) {
      #expect(mine.values == Array(all.values[5 * count..<9 * count]))
      #expect(mine.values.contains { $0 != 0 })
    }
  }

  /// Rows that lie side by side are updated, shifted, read and replaced as those apart.
  @Test(arguments: [0, 1, 2, 3]) func rowsSideBySideBehaveLikeRowsApart(optimizer: Int) {
    let optimizer = Self.optimizers[optimizer]
    let apart = Self.table(5..<9, owned: 5..<9, optimizer)
    let beside = RowTable(
      layout: Self.layout, held: 5..<9, owned: 5..<9, optimizer: optimizer, isSideBySide: true)
    for row in 5..<9 { unsafe beside.row(row).update(from: apart.row(row), count: apart.stride) }
    let floats = apart.stride + apart.stateCounts.reduce(0, +) + 1
    #expect(beside.spacing == (floats + 7) / 8 * 8 && beside.weights.count == 4 * beside.spacing)
    let (shifts, index) = (Self.gradients(), AlignedBuffer(Self.keys))
    let copies = AlignedBuffer<Float>(count: Self.keys.count * apart.stride)
    let others = AlignedBuffer<Float>(count: 4 * apart.stride)
    for (table, copy) in [(apart, copies), (beside, others)] {
      Self.update(table, optimizer, steps: 3)
      unsafe table.shift(
        factor: -1, index: index.pointer, count: Self.keys.count, shifts: shifts.pointer)
      unsafe table.gather(index: index.pointer, count: Self.keys.count, into: copy.pointer)
      unsafe table.replace(index: index.pointer, count: 1, with: copy.pointer + apart.stride)
    }
    #expect(Array(others.values.prefix(copies.count)) == copies.values)
    #expect(Self.rows(beside, 5..<9) == Self.rows(apart, 5..<9))
    for (mine, all, count) in zip3(beside.state, apart.state, apart.stateCounts) {
      let kept = (0..<4).flatMap { row in
        (0..<count).map { unsafe mine.pointer[row * beside.stateSpacing + $0] }
      }
      #expect(kept == all.values && kept.contains { $0 != 0 })
    }
    let steps = (0..<4).map { unsafe beside.lastSteps?.pointer[$0 * beside.lastStepSpacing] }
    #expect(steps == apart.lastSteps?.values.map { $0 } && steps == [3, 3, 0, 3])
    for table in [apart, beside] {
      #expect(table.consecutive(6..<9).values == Self.rows(apart, 6..<9).flatMap { $0 })
    }
    withExtendedLifetime((shifts, index)) {}
  }

  /// A row that rested is decayed for the steps it missed; its first step decays it once. All
  /// numbers here are exact.
  @Test func decayCatchesUp() {
    let lazy = RowTable(layout: Self.layout, held: 3..<9, owned: 4..<9, optimizer: .gradientDescent)
    let eager = RowTable(
      layout: Self.layout, held: 3..<9, owned: 4..<9, optimizer: .gradientDescent, isLazy: false)
    let (index, gradients) = (
      AlignedBuffer<UInt32>([5, 8]), AlignedBuffer<Float>(count: 2 * Self.layout.stride)
    )
    for table in [lazy, eager] {
      for row in [5, 8] { unsafe table.row(row)[0] = 1 }
      for (number, count) in [(2, 1), (5, 2)] {
        unsafe table.update(
          RowOptimizer.Step(.gradientDescent, rate: 0.125, decay: 0.5, number: number),
          index: index.pointer, count: count, gradients: gradients.pointer)
      }
    }
    withExtendedLifetime((index, gradients)) {}
    let (once, thrice): (Float, Float) = (1 - 0.125 * 0.5, 1 - 0.125 * 0.5 * 3)
    #expect(Self.rows(lazy, [5, 8]).map { $0[0] } == [once * thrice, once])
    #expect(lazy.lastSteps?.values == [0, 5, 0, 0, 5])
    #expect(Self.rows(eager, [5, 8]).map { $0[0] } == [once * once, once])
    #expect(eager.lastSteps == nil)
  }

  @Test(arguments: [Float(1), -1])
  func shiftsAreVirtualSteps(factor: Float) {
    let shifts = Self.gradients()
    let index = AlignedBuffer(Self.keys)
    let table = Self.table(4..<10, owned: 5..<9, .adam)
    let before = Self.rows(table, 4..<10)
    unsafe table.shift(
      factor: factor, index: index.pointer, count: Self.keys.count, shifts: shifts.pointer)
    for (place, after) in Self.rows(table, 4..<10).enumerated() {
      let found = Self.keys.firstIndex(of: UInt32(place + 4))
      let expected = before[place].indices.map { column in
        let step = found.map { shifts.values[$0 * Self.layout.stride + column] } ?? 0
        return before[place][column] - factor * step
      }
      #expect(after == expected)
    }
    #expect(table.state.allSatisfy { $0.values.allSatisfy { $0 == 0 } })
    withExtendedLifetime((shifts, index)) {}
  }

  @Test func gatheredRowsCanBePutBack() {
    let (source, target) = (
      Self.table(4..<10, owned: 4..<10, .gradientDescent),
      RowTable(layout: Self.layout, held: 5..<9, owned: 5..<9, optimizer: .gradientDescent)
    )
    let index = AlignedBuffer(Self.keys)
    let rows = AlignedBuffer<Float>(count: Self.keys.count * Self.layout.stride)
    unsafe source.gather(index: index.pointer, count: Self.keys.count, into: rows.pointer)
    let expected = Self.rows(source, Self.keys.map { Int($0) })
    #expect(rows.values == expected.flatMap { $0 })
    unsafe target.replace(index: index.pointer, count: Self.keys.count, with: rows.pointer)
    withExtendedLifetime((index, rows)) {}
    #expect(Self.rows(target, [5, 6, 8]) == expected)
    #expect(Self.rows(target, [7]) == [[Float](repeating: 0, count: Self.layout.stride)])
  }

  @Test func scratchMemoryGrowsAndStays() {
    let scratch = ScratchBuffer<Float>(count: 3)
    let first = unsafe scratch.reserve(2)
    #expect(unsafe first == scratch.pointer)
    let large = unsafe scratch.reserve(1000)
    unsafe large[999] = 1
    #expect(unsafe scratch.reserve(10) == large && scratch.reserve(1000) == large)
    withExtendedLifetime(scratch) {}
  }
}

private func zip3<A, B, C>(_ a: [A], _ b: [B], _ c: [C]) -> [(A, B, C)] {
  zip(a, zip(b, c)).map { ($0, $1.0, $1.1) }
}
