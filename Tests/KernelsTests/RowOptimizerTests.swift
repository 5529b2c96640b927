import Kernels
import Testing

@Suite struct RowOptimizerTests {
  static let optimizers: [RowOptimizer] = [.gradientDescent, .adagrad, .rowwiseAdagrad, .adam]
  static let rate = 0.05
  static let decay = 0.01
  /// Rows of the table that get gradients; the others of `offset ..< offset + 7` get none.
  static let index: [UInt32] = [101, 102, 105]

  /// Weights and state of seven rows, with room before the state: its offset is another.
  struct Table {
    let layout = RowLayout(factors: 10, hasBias: true)
    let weights: AlignedBuffer<Float>
    let first: AlignedBuffer<Float>
    let second: AlignedBuffer<Float>

    init(seed: UInt64) {
      var draws = Draws(seed: seed)
      weights = AlignedBuffer(layout.rows(7, &draws))
      first = AlignedBuffer(count: 12 * layout.stride)
      second = AlignedBuffer(count: 12 * layout.stride)
    }

    func apply(_ optimizer: RowOptimizer, gradients: [Float], number: Int, decay: Double) {
      let (rows, values) = (AlignedBuffer(index), AlignedBuffer(gradients))
      unsafe optimizer.apply(
        RowOptimizer.Step(optimizer, rate: rate, decay: decay, number: number),
        to: RowOptimizer.Rows(
          index: rows.pointer, count: index.count, gradients: values.pointer,
          weights: weights.pointer, weightOffset: 100, weightSpacing: layout.stride,
          firstState: first.pointer, secondState: second.pointer, stateOffset: 96,
          stateSpacing: optimizer == .rowwiseAdagrad ? 1 : layout.stride,
          columns: layout.factors + 1,
          stride: layout.stride))
      withExtendedLifetime((rows, values)) {}
    }

    /// Gradients of ¼ to 1 with either sign, padding zero.
    func gradients(_ draws: inout Draws) -> [Float] {
      var rows = layout.rows(index.count, &draws)
      for position in rows.indices where rows[position] != 0 {
        let size = 0.25 + 0.75 * abs(rows[position])
        rows[position] = rows[position] < 0 ? -size : size
      }
      return rows
    }
  }

  /// What the optimizer holds for one table row, in `Double`.
  struct Reference {
    var weights: [Double]
    var first: [Double]
    var second: [Double]

    mutating func step(
      _ optimizer: RowOptimizer, _ gradients: [Double], columns: Int, number: Int, decay: Double
    ) {
      let decay = Double(Float(decay))
      let rate = Double(Float(RowOptimizerTests.rate))
      let g = zip(gradients, weights).map { $0 + decay * $1 }
      let (beta1, beta2) = (Double(Float(0.9)), Double(Float(0.999)))
      if optimizer == .rowwiseAdagrad { first[0] += g.reduce(0) { $0 + $1 * $1 } / Double(columns) }
      var (power1, power2) = (1.0, 1.0)
      for _ in 0..<number { (power1, power2) = (power1 * beta1, power2 * beta2) }
      for column in g.indices {
        let update: Double
        switch optimizer {
        case .gradientDescent: update = g[column]
        case .adagrad:
          first[column] += g[column] * g[column]
          update = g[column] / (first[column].squareRoot() + 1e-10)
        case .rowwiseAdagrad: update = g[column] / (first[0].squareRoot() + 1e-10)
        case .adam:
          first[column] = beta1 * first[column] + (1 - beta1) * g[column]
          second[column] = beta2 * second[column] + (1 - beta2) * g[column] * g[column]
          let size = (second[column] / (1 - power2)).squareRoot() + 1e-8
          update = first[column] / (1 - power1) / size
        }
        weights[column] -= rate * update
      }
    }
  }

  /// Weights stay below 1.5 and updates below 5 · rate: gradients with decay lie between 0.23 and
  /// 1.02, so the ratio of a mean gradient to a root of a mean square is below 4.5.
  ///
  /// Step `t` rounds the weight once. Its update carries, relative to its bound, 1.1 roundings for
  /// each earlier step in the first moment and half of three in the root of the second, and nine of
  /// its own (decay, constants, root, products, quotient); a row's mean square adds six. An error of
  /// a weight comes back through the decay, less than a hundredth of it.
  static func tolerance(steps: Int) -> Double {
    var sum = 0.0
    for step in 1...steps {
      let roundings = 2.6 * Double(step) + 15
      sum += 1.02 * roundoff * (1.5 + roundings * 5 * rate)
    }
    return sum
  }

  @Test(arguments: optimizers, [0, decay])
  func severalStepsMatchDouble(optimizer: RowOptimizer, decay: Double) {
    let table = Table(seed: 1)
    let stride = table.layout.stride
    var references = Self.index.map { row in
      let start = (Int(row) - 100) * stride
      return Reference(
        weights: table.weights.values[start..<start + stride].map { Double($0) },
        first: [Double](repeating: 0, count: stride), second: [Double](repeating: 0, count: stride))
    }
    var draws = Draws(seed: 2)
    for number in 1...6 {
      let gradients = table.gradients(&draws)
      table.apply(optimizer, gradients: gradients, number: number, decay: decay)
      for (row, key) in Self.index.enumerated() {
        let part = gradients[row * stride..<(row + 1) * stride].map { Double($0) }
        references[row].step(
          optimizer, part, columns: table.layout.factors + 1, number: number, decay: decay)
        for column in 0..<stride {
          let weight = Double(table.weights.values[(Int(key) - 100) * stride + column])
          #expect(
            abs(weight - references[row].weights[column]) <= Self.tolerance(steps: number))
        }
      }
    }
  }

  /// Weights and moments of rows without a gradient keep their bits; padding stays zero.
  @Test(arguments: optimizers)
  func untouchedRowsAndPaddingStay(optimizer: RowOptimizer) {
    let table = Table(seed: 3)
    let stride = table.layout.stride
    var draws = Draws(seed: 4)
    let states = optimizer.stateCounts(stride: stride)
    for state in [table.first, table.second] {
      for position in 0..<state.count { unsafe state.pointer[position] = draws.float() + 2 }
    }
    let before = (table.weights.values, [table.first.values, table.second.values])
    // Padding has no moments; the fill above was for the other columns.
    func clearPadding() {
      for key in Self.index {
        for column in 0..<stride where !table.layout.valueColumns.contains(column) {
          let slot = (Int(key) - 96) * stride + column
          if states.first == stride { unsafe table.first.pointer[slot] = 0 }
          if states.count == 2 { unsafe table.second.pointer[slot] = 0 }
        }
      }
    }
    clearPadding()
    table.apply(optimizer, gradients: table.gradients(&draws), number: 9, decay: Self.decay)
    for row in 100..<107 {
      for column in 0..<stride {
        let position = (row - 100) * stride + column
        let weight = table.weights.values[position]
        if !table.layout.valueColumns.contains(column) {
          #expect(weight == 0)
        } else if Self.index.contains(UInt32(row)) {
          #expect(weight != before.0[position])
        } else {
          #expect(weight.bitPattern == before.0[position].bitPattern)
        }
      }
    }
    for (number, state) in [table.first, table.second].enumerated() {
      let width = number < states.count ? states[number] : 0
      let touched = Set(Self.index.flatMap { (Int($0) - 96) * width..<(Int($0) - 95) * width })
      for position in 0..<state.count where !touched.contains(position) {
        #expect(state.values[position].bitPattern == before.1[number][position].bitPattern)
      }
    }
  }

  @Test func stateCounts() {
    #expect(RowOptimizer.gradientDescent.stateCounts(stride: 24) == [])
    #expect(RowOptimizer.adagrad.stateCounts(stride: 24) == [24])
    #expect(RowOptimizer.rowwiseAdagrad.stateCounts(stride: 24) == [1])
    #expect(RowOptimizer.adam.stateCounts(stride: 24) == [24, 24])
  }

  /// The mean is over the columns with values: 11 columns of gradient 2 give a state of 4 and a
  /// step of the whole rate, all exact.
  @Test func rowwiseMeanIsOverTheColumnsThatCarryValues() {
    let table = Table(seed: 5)
    let before = table.weights.values
    var gradients = [Float](repeating: 0, count: 3 * table.layout.stride)
    for column in table.layout.valueColumns { gradients[column] = 2 }
    table.apply(.rowwiseAdagrad, gradients: gradients, number: 1, decay: 0)
    #expect(table.first.values[101 - 96] == 4)
    let start = table.layout.stride
    for column in table.layout.valueColumns {
      #expect(table.weights.values[start + column] == before[start + column] - Float(Self.rate))
    }
  }

  /// The first step of a fresh Adam is the rate times the sign: the corrections undo the weights of
  /// the moments. Nine roundings of the update; ε is 10⁻⁸ of the gradient.
  @Test func firstStepOfAdamIsTheSign() {
    let table = Table(seed: 6)
    unsafe table.weights.elements.update(repeating: 0)
    var draws = Draws(seed: 7)
    let gradients = table.gradients(&draws)
    table.apply(.adam, gradients: gradients, number: 1, decay: 0)
    for (row, key) in Self.index.enumerated() {
      for column in table.layout.valueColumns {
        let weight = table.weights.values[(Int(key) - 100) * table.layout.stride + column]
        let gradient = gradients[row * table.layout.stride + column]
        let expected = gradient > 0 ? -Self.rate : Self.rate
        #expect(abs(Double(weight) - expected) <= Self.rate * (9 * roundoff + 4e-8))
      }
    }
  }

  @Test func missingStateIsRefused() async {
    await #expect(processExitsWith: .failure) {
      let (index, values) = (AlignedBuffer<UInt32>(count: 1), AlignedBuffer<Float>(count: 8))
      RowOptimizer.adam.apply(
        RowOptimizer.Step(.adam, rate: 1, decay: 0, number: 1),
        to: unsafe RowOptimizer.Rows(
          index: index.pointer, count: 1, gradients: values.pointer, weights: values.pointer,
          weightOffset: 0, weightSpacing: 8, firstState: values.pointer, secondState: nil,
          stateOffset: 0, stateSpacing: 8, columns: 8, stride: 8))
    }
  }
}
