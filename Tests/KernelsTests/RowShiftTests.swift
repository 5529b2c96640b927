import Kernels
import Testing

@Suite struct RowShiftTests {
  static let gradient: [Float] = [
    0.5, -0.25, 0, -0.0, 1e-30, -1e-30, .infinity, 3, .leastNonzeroMagnitude, -7, 0, 1, 2, -2, 0.1,
    -0.1,
  ]

  static func shifted(
    _ direction: RowShift.Direction, _ shift: Float, source: [Float], gradient: [Float]
  ) -> [Float] {
    let (from, slope) = (AlignedBuffer(source), AlignedBuffer(gradient))
    let target = AlignedBuffer<Float>([Float](repeating: .nan, count: source.count))
    unsafe RowShift.apply(
      direction, shift: shift, gradient: slope.pointer, source: from.pointer,
      target: target.pointer, count: source.count)
    return withExtendedLifetime((from, slope)) { target.values }
  }

  @Test(arguments: [Float(0.005), -0.005, 1])
  func signMovesEachComponentByTheShift(shift: Float) {
    var draws = Draws(seed: 1)
    let source = draws.floats(16)
    let expected = zip(source, Self.gradient).map { value, g in
      g > 0 ? value - shift : g < 0 ? value + shift : value
    }
    #expect(
      Self.shifted(.sign, shift, source: source, gradient: Self.gradient).bits == expected.bits)
  }

  @Test(arguments: [Float(0.005), -0.005, 1])
  func gradientMovesByTheProductAndRoundsTwice(shift: Float) {
    var draws = Draws(seed: 2)
    let (source, gradient) = (draws.floats(16), draws.floats(16))
    let expected = zip(source, gradient).map { value, g in
      let product = shift * g
      return value - product
    }
    #expect(
      Self.shifted(.gradient, shift, source: source, gradient: gradient).bits == expected.bits)
  }

  @Test(arguments: RowShift.Direction.allCases, [Float(0.3), -0.3])
  func aZeroGradientMovesNothing(direction: RowShift.Direction, shift: Float) {
    var draws = Draws(seed: 3)
    let source = draws.floats(16)
    for zero in [Float(0), -0.0] {
      let gradient = [Float](repeating: zero, count: 16)
      #expect(Self.shifted(direction, shift, source: source, gradient: gradient) == source)
    }
  }

  @Test(arguments: RowShift.Direction.allCases)
  func inPlaceIsTheSameAsOutOfPlace(direction: RowShift.Direction) {
    var draws = Draws(seed: 4)
    let (source, gradient) = (draws.floats(40), draws.floats(40))
    let (buffer, slope) = (AlignedBuffer(source), AlignedBuffer(gradient))
    unsafe RowShift.apply(
      direction, shift: 0.7, gradient: slope.pointer, source: buffer.pointer,
      target: buffer.pointer, count: 40)
    #expect(
      buffer.values.bits
        == Self.shifted(direction, 0.7, source: source, gradient: gradient).bits)
  }

  @Test(arguments: RowShift.Direction.allCases)
  func aCommitIsTheCandidateAndTouchesNoOtherRow(direction: RowShift.Direction) {
    var draws = Draws(seed: 5)
    let (table, gradients) = (draws.floats(6 * 16), draws.floats(3 * 16))
    let index: [UInt32] = [50, 52, 55]
    let (weights, slopes) = (AlignedBuffer(table), AlignedBuffer(gradients))
    let (rows, copies) = (AlignedBuffer(index), AlignedBuffer<Float>(count: 48))
    unsafe RowShift.gather(
      index: rows.pointer, count: 3, weights: weights.pointer, offset: 50, stride: 16,
      into: copies.pointer)
    var expected = table
    for (slot, row) in index.enumerated() {
      let start = (Int(row) - 50) * 16
      let source = Array(table[start..<start + 16])
      #expect(Array(copies.values[slot * 16..<slot * 16 + 16]).bits == source.bits)
      expected.replaceSubrange(
        start..<start + 16,
        with: Self.shifted(
          direction, -0.2, source: source,
          gradient: Array(gradients[slot * 16..<slot * 16 + 16])))
    }
    unsafe RowShift.commit(
      direction, shift: -0.2, index: rows.pointer, count: 3, gradients: slopes.pointer,
      weights: weights.pointer, offset: 50, stride: 16)
    #expect(weights.values.bits == expected.bits)
    withExtendedLifetime((rows, slopes)) {}
  }
}
