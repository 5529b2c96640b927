import Kernels
import Testing

@Suite struct RowShiftTests {
  static let gradient: [Float] = [
    0.5, -0.25, 0, -0.0, 1e-30, -1e-30, .greatestFiniteMagnitude, 3, .leastNonzeroMagnitude, -7, 0,
    1, 2, -2, 0.1,
    -0.1,
  ]

  static func shift(
    _ direction: RowShift.Direction, _ rate: Float, gradient: [Float]
  ) -> [Float] {
    let values = AlignedBuffer(gradient)
    unsafe RowShift.turn(direction, rate: rate, values: values.pointer, count: gradient.count)
    return values.values
  }

  @Test(arguments: [Float(0.005), 1])
  func theSignOfEachComponentTimesTheRate(rate: Float) {
    let expected = Self.gradient.map { g in g > 0 ? rate : g < 0 ? -rate : 0 }
    #expect(Self.shift(.sign, rate, gradient: Self.gradient).bits == expected.bits)
  }

  @Test(arguments: [Float(0.005), 1])
  func theGradientTimesTheRate(rate: Float) {
    let expected = Self.gradient.map { rate * $0 }
    #expect(Self.shift(.gradient, rate, gradient: Self.gradient).bits == expected.bits)
  }

  @Test(arguments: RowShift.Direction.allCases)
  func aZeroGradientMovesNothing(direction: RowShift.Direction) {
    for zero in [Float(0), -0.0] {
      #expect(
        Self.shift(direction, 0.3, gradient: [Float](repeating: zero, count: 16)).allSatisfy {
          $0 == 0
        })
    }
  }

  @Test func candidatesLieOnBothSides() {
    var draws = Draws(seed: 4)
    let (row, shift) = (draws.floats(40), draws.floats(40))
    let (values, steps) = (AlignedBuffer(row), AlignedBuffer(shift))
    let targets = (0..<3).map { _ in AlignedBuffer<Float>(count: 40) }
    unsafe RowShift.candidates(
      of: values.pointer, shift: steps.pointer, count: 40, direct: targets[0].pointer,
      unchanged: targets[1].pointer, inverse: targets[2].pointer)
    withExtendedLifetime((values, steps)) {}
    #expect(targets[0].values.bits == zip(row, shift).map { $0 - $1 }.bits)
    #expect(targets[1].values.bits == row.bits)
    #expect(targets[2].values.bits == zip(row, shift).map { $0 + $1 }.bits)
  }

  @Test func rowsAreFoundByTheirKeysAndOthersAreLeftAlone() {
    let (keys, known) = (
      AlignedBuffer<UInt32>([1, 4, 5, 9, 12]), AlignedBuffer<UInt32>([0, 4, 9, 10])
    )
    let (rows, zero) = (AlignedBuffer<Float>(count: 4 * 8), AlignedBuffer<Float>(count: 8))
    let places = unsafe AlignedBuffer<UnsafePointer<Float>>(
      [UnsafePointer<Float>](repeating: UnsafePointer(zero.pointer), count: 5))
    unsafe RowShift.find(
      keys: keys.pointer, count: 5, in: known.pointer, knownCount: 4, rows: rows.pointer,
      stride: 8, places: places.pointer)
    let base = unsafe UnsafePointer(rows.pointer)
    let nothing = unsafe UnsafePointer(zero.pointer)
    let found = unsafe places.values
    #expect(unsafe found == [nothing, base + 8, nothing, base + 16, nothing])
    withExtendedLifetime((keys, known, rows, zero)) {}
  }

  @Test(arguments: [Float(1), -1])
  func aCommitIsTheCandidateAndTouchesNoOtherRow(factor: Float) {
    var draws = Draws(seed: 5)
    let (table, shifts) = (draws.floats(6 * 16), draws.floats(3 * 16))
    let index: [UInt32] = [50, 52, 55]
    let (weights, steps) = (AlignedBuffer(table), AlignedBuffer(shifts))
    let (rows, copies) = (AlignedBuffer(index), AlignedBuffer<Float>(count: 48))
    unsafe RowShift.gather(
      index: rows.pointer, count: 3, weights: weights.pointer, offset: 50, spacing: 16,
      stride: 16,
      into: copies.pointer)
    var expected = table
    for (slot, row) in index.enumerated() {
      let start = (Int(row) - 50) * 16
      let source = Array(table[start..<start + 16])
      #expect(Array(copies.values[slot * 16..<slot * 16 + 16]).bits == source.bits)
      for column in 0..<16 {
        let step = shifts[slot * 16 + column]
        expected[start + column] = factor > 0 ? source[column] - step : source[column] + step
      }
    }
    unsafe RowShift.commit(
      factor: factor, index: rows.pointer, count: 3, shifts: steps.pointer,
      weights: weights.pointer, offset: 50, spacing: 16,
      stride: 16)
    #expect(weights.values.bits == expected.bits)
    withExtendedLifetime((rows, steps)) {}
  }
}
