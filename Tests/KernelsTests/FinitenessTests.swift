import Kernels
import Testing

/// The kernels that write parameters notice every number that is not finite.
@Suite struct FinitenessTests {
  static let bad: [Float] = [.nan, .infinity, -.infinity]

  /// Four rows of 24 columns that are all values.
  struct Rows {
    static let stride = 24
    let weights: AlignedBuffer<Float>
    let first = AlignedBuffer<Float>(count: 4 * stride)
    let second = AlignedBuffer<Float>(count: 4 * stride)
    let index = AlignedBuffer<UInt32>([0, 1, 3])
    let gradients: AlignedBuffer<Float>

    init() {
      var draws = Draws(seed: 3)
      weights = AlignedBuffer(draws.floats(4 * Self.stride))
      gradients = AlignedBuffer(draws.floats(3 * Self.stride))
    }

    func apply(_ optimizer: RowOptimizer, rate: Double = 0.1, decay: Double = 0.01) -> Bool {
      unsafe optimizer.apply(
        RowOptimizer.Step(optimizer, rate: rate, decay: decay, number: 1),
        to: RowOptimizer.Rows(
          index: index.pointer, count: 3, gradients: gradients.pointer,
          weights: weights.pointer, weightOffset: 0, weightSpacing: Self.stride,
          firstState: first.pointer, secondState: second.pointer, stateOffset: 0,
          stateSpacing: optimizer == .rowwiseAdagrad ? 1 : Self.stride, columns: Self.stride,
          stride: Self.stride))
    }

    /// Whether weights and moments of all rows are finite.
    var areFinite: Bool {
      (weights.values + first.values + second.values).allSatisfy(\.isFinite)
    }
  }

  @Test(arguments: RowOptimizerTests.optimizers)
  func aBadGradientIsNoticedWhereverItIs(optimizer: RowOptimizer) {
    #expect(Rows().apply(optimizer))
    for place in 0..<3 * Rows.stride {
      for value in Self.bad {
        let rows = Rows()
        unsafe rows.gradients.pointer[place] = value
        #expect(!rows.apply(optimizer), "\(value) at \(place)")
        #expect(!rows.areFinite)
      }
    }
  }

  @Test(arguments: RowOptimizerTests.optimizers)
  func aBadWeightIsNoticedInARowWithAGradientAlone(optimizer: RowOptimizer) {
    for (row, isTouched) in [(0, true), (1, true), (2, false), (3, true)] {
      for value in Self.bad {
        let rows = Rows()
        unsafe rows.weights.pointer[row * Rows.stride + 17] = value
        #expect(rows.apply(optimizer) == !isTouched)
      }
    }
  }

  /// A square that overflows makes a moment infinite and the step nothing: the row would never move
  /// again.
  @Test(arguments: [RowOptimizer.adagrad, .rowwiseAdagrad, .adam])
  func aGradientWhoseSquareOverflowsIsNoticed(optimizer: RowOptimizer) {
    for value in [Float(1e25), -1e25] {
      let rows = Rows()
      unsafe rows.gradients.pointer[30] = value
      #expect(!rows.apply(optimizer))
      #expect(rows.weights.values.allSatisfy(\.isFinite) && !rows.areFinite)
    }
    let rows = Rows()
    unsafe rows.gradients.pointer[30] = 1e25
    #expect(rows.apply(.gradientDescent) && rows.areFinite)
  }

  @Test(arguments: RowOptimizerTests.optimizers)
  func constantsThatOverflowAreNoticed(optimizer: RowOptimizer) {
    #expect(!Rows().apply(optimizer, rate: 1e39))
    #expect(!Rows().apply(optimizer, decay: 1e39))
  }

  @Test(arguments: RowShift.Direction.allCases)
  func aBadGradientOfAVirtualStepIsNoticedAndStaysBad(direction: RowShift.Direction) {
    for place in 0..<24 {
      for value in Self.bad {
        let values = AlignedBuffer([Float](repeating: -1, count: 24))
        unsafe values.pointer[place] = value
        let isFinite = unsafe RowShift.turn(
          direction, rate: 0.5, values: values.pointer, count: 24)
        #expect(!isFinite && !values.values[place].isFinite)
        #expect(values.values.filter { $0 == -0.5 }.count == 23)
      }
    }
    let values = AlignedBuffer([Float](repeating: .greatestFiniteMagnitude, count: 24))
    #expect(unsafe RowShift.turn(direction, rate: 0.5, values: values.pointer, count: 24))
  }

  @Test func aVirtualStepThatOverflowsIsNoticed() {
    for factor in [Float(1), -1] {
      for place in 0..<16 {
        let weights = AlignedBuffer([Float](repeating: -2e38 * factor, count: 16))
        let shifts = AlignedBuffer([Float](repeating: 0, count: 16))
        let index = AlignedBuffer<UInt32>([5])
        func commit() -> Bool {
          unsafe RowShift.commit(
            factor: factor, index: index.pointer, count: 1, shifts: shifts.pointer,
            weights: weights.pointer, offset: 5, spacing: 16, stride: 16)
        }
        #expect(commit())
        unsafe shifts.pointer[place] = 2e38
        #expect(!commit())
        withExtendedLifetime(weights) {}
      }
    }
  }
}
