internal import CBuiltins

/// One step of a first-order optimizer on some rows of a table: gradient, state and weights of a
/// row are read once.
///
/// *Lazy*: a row without a gradient is left alone, with its moments. Weight decay is L2 with
/// catching up: a touched row's gradient gets `decay · n · weight`, where `n` counts the steps since
/// the row was last touched, so that rare rows are pulled to zero as strongly over a run as frequent
/// ones. See docs/decisions/0004-lazy-row-optimizers.md.
package enum RowOptimizer: Equatable, Sendable {
  /// `θ ← θ − rate · g`.
  case gradientDescent
  /// `s ← s + g²;  θ ← θ − rate · g / (√s + ε)`. Duchi, Hazan, Singer, JMLR 2011.
  case adagrad
  /// As `adagrad` with one `s` per row, the mean of `g²` over its columns. Mudigere et al., ISCA
  /// 2022, section 4.
  case rowwiseAdagrad
  /// `m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ − rate · m̂ / (√v̂ + ε)` with
  /// `m̂ = m / (1−β₁ᵗ)`, `v̂ = v / (1−β₂ᵗ)`. Kingma and Ba, ICLR 2015.
  case adam

  /// Floats of state per row and moment, for rows of `stride` floats.
  package func stateCounts(stride: Int) -> [Int] {
    switch self {
    case .gradientDescent: []
    case .adagrad: [stride]
    case .rowwiseAdagrad: [1]
    case .adam: [stride, stride]
    }
  }

  /// The constants of one step.
  package struct Step: Equatable, Sendable {
    package var rate: Float
    package var decay: Float
    package var beta1: Float = 0.9
    package var beta2: Float = 0.999
    package var epsilon: Float
    /// `1 − β₁ᵗ` and `1 − β₂ᵗ`.
    package var correction1: Float = 1
    package var correction2: Float = 1
    /// The step, counted from 1.
    package var number: UInt32

    /// The constants of the `number`-th step of a run, counted from 1.
    package init(_ optimizer: RowOptimizer, rate: Double, decay: Double, number: Int) {
      self.rate = Float(rate)
      self.number = UInt32(truncatingIfNeeded: number)
      self.decay = Float(decay)
      epsilon = optimizer == .adam ? 1e-8 : 1e-10
      // Powers by squaring in Double: no library whose last digit may differ. Of the rounded β, or
      // the corrections would not undo the weights of the moments: 1 − 0.999 loses 5 digits.
      correction1 = Float(1 - power(Double(beta1), number))
      correction2 = Float(1 - power(Double(beta2), number))
    }
  }

  /// The rows one call updates.
  @safe
  package struct Rows {
    /// `(count)`: rows of the table; row `r` has its weights at `weights + (r − weightOffset) ·
    /// weightSpacing` and its state at `(r − stateOffset) · stateSpacing`.
    package var index: UnsafePointer<UInt32>
    package var count: Int
    /// `(count, stride)`.
    package var gradients: UnsafePointer<Float>
    package var weights: UnsafeMutablePointer<Float>
    package var weightOffset: Int
    /// Floats from the weights of a row to those of the next, at least `stride`.
    package var weightSpacing: Int
    /// One per state of the optimizer.
    package var firstState: UnsafeMutablePointer<Float>?
    package var secondState: UnsafeMutablePointer<Float>?
    package var stateOffset: Int
    /// Floats from the state of a row to that of the next.
    package var stateSpacing: Int
    /// The step that last updated each row, 0 for none; that of row `r` is at `(r − stateOffset) ·
    /// lastStepSpacing`. Without it every step decays a touched row once.
    package var lastSteps: UnsafeMutablePointer<UInt32>?
    package var lastStepSpacing: Int
    /// Columns that carry values, for the mean of `rowwiseAdagrad`.
    package var columns: Int
    package var stride: Int

    package init(
      index: UnsafePointer<UInt32>, count: Int, gradients: UnsafePointer<Float>,
      weights: UnsafeMutablePointer<Float>, weightOffset: Int, weightSpacing: Int,
      firstState: UnsafeMutablePointer<Float>?, secondState: UnsafeMutablePointer<Float>?,
      stateOffset: Int, stateSpacing: Int, lastSteps: UnsafeMutablePointer<UInt32>? = nil,
      lastStepSpacing: Int = 1, columns: Int, stride: Int
    ) {
      unsafe self.index = unsafe index
      self.count = count
      unsafe self.gradients = unsafe gradients
      unsafe self.weights = unsafe weights
      self.weightOffset = weightOffset
      self.weightSpacing = weightSpacing
      unsafe self.firstState = unsafe firstState
      unsafe self.secondState = unsafe secondState
      self.stateOffset = stateOffset
      self.stateSpacing = stateSpacing
      unsafe self.lastSteps = lastSteps
      self.lastStepSpacing = lastStepSpacing
      self.columns = columns
      self.stride = stride
    }

    /// The weights of a row of the table.
    @inline(__always)
    fileprivate func weights(of row: Int) -> UnsafeMutablePointer<Float> {
      unsafe weights + (row &- weightOffset) &* weightSpacing
    }

    /// Where the state of a row of the table starts.
    @inline(__always)
    fileprivate func stateStart(of row: Int) -> Int { (row &- stateOffset) &* stateSpacing }

    /// The weight of the decay in the gradient of a row, and the end of its rest.
    ///
    /// A row that was never touched holds initial values; its decay starts with its first gradient.
    @inline(__always)
    fileprivate func decay(of row: Int, at step: Step) -> SIMD8<Float> {
      guard let lastSteps = unsafe lastSteps else { return SIMD8(repeating: step.decay) }
      let slot = unsafe (Int(index[row]) &- stateOffset) &* lastStepSpacing
      let last = unsafe lastSteps[slot]
      unsafe lastSteps[slot] = step.number
      return SIMD8(repeating: step.decay * Float(last == 0 ? 1 : step.number &- last))
    }
  }

  /// Updates weights and state of `rows`.
  ///
  /// - Returns: Whether all new weights and all new state are finite. A gradient that is not makes
  ///   them so; and one so large that its square overflows, which would silence a row for good.
  /// - Complexity: O(count · stride); no allocation, no communication.
  @discardableResult
  package func apply(_ step: Step, to rows: Rows) -> Bool {
    switch unsafe (self, rows.firstState, rows.secondState) {
    case (.gradientDescent, _, _): descend(step, rows)
    case (.adagrad, let sums?, _): unsafe adagrad(step, rows, sums)
    case (.rowwiseAdagrad, let sums?, _): unsafe rowwiseAdagrad(step, rows, sums)
    case (.adam, let first?, let second?): unsafe adam(step, rows, first, second)
    default: preconditionFailure("the optimizer's state is missing")
    }
  }

  /// Asks for what later rows will touch.
  private struct Ahead {
    private let distance: Int
    private let last: Int

    /// For updates that read and write `streams` rows of floats for each row of a table.
    init(_ rows: Rows, streams: Int) {
      distance = prefetchRows(bytes: 4 * streams * rows.stride)
      last = rows.count - 1
    }

    /// - Parameters:
    ///   - row: The row at hand.
    ///   - rows: All rows.
    ///   - first: State of a row of floats for each row of the table.
    ///   - second: Likewise.
    ///   - number: State of one float for each.
    @inline(__always)
    func fetch(
      _ row: Int, _ rows: Rows, _ first: UnsafeMutablePointer<Float>?,
      _ second: UnsafeMutablePointer<Float>?, number: UnsafeMutablePointer<Float>? = nil
    ) {
      let next = unsafe Int(rows.index[min(row &+ distance, last)])
      let state = rows.stateStart(of: next)
      unsafe prefetchAll(rows.weights(of: next), width: rows.stride)
      if let first = unsafe first { unsafe prefetchAll(first + state, width: rows.stride) }
      if let second = unsafe second { unsafe prefetchAll(second + state, width: rows.stride) }
      if let number = unsafe number { unsafe inverse_prefetch(number + state) }
      if let lastSteps = unsafe rows.lastSteps {
        unsafe inverse_prefetch(lastSteps + (next &- rows.stateOffset) &* rows.lastStepSpacing)
      }
    }
  }

  private func descend(_ step: Step, _ rows: Rows) -> Bool {
    let rate = SIMD8(repeating: step.rate)
    let ahead = Ahead(rows, streams: 1)
    var finiteness = Finiteness()
    for row in 0..<rows.count {
      unsafe ahead.fetch(row, rows, nil, nil)
      let weights = unsafe rows.weights(of: Int(rows.index[row]))
      let gradient = unsafe rows.gradients + row &* rows.stride
      let decay = rows.decay(of: row, at: step)
      for column in stride(from: 0, to: rows.stride, by: 8) {
        let weight = unsafe load8(weights + column)
        let g = unsafe load8(gradient + column).addingProduct(decay, weight)
        let new = weight - rate * g
        unsafe store8(new, weights + column)
        finiteness.note(new)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }

  private func adagrad(_ step: Step, _ rows: Rows, _ sums: UnsafeMutablePointer<Float>) -> Bool {
    let rate = SIMD8(repeating: step.rate)
    let epsilon = SIMD8(repeating: step.epsilon)
    let ahead = Ahead(rows, streams: 2)
    var finiteness = Finiteness()
    for row in 0..<rows.count {
      unsafe ahead.fetch(row, rows, sums, nil)
      let weights = unsafe rows.weights(of: Int(rows.index[row]))
      let sums = unsafe sums + rows.stateStart(of: Int(rows.index[row]))
      let gradient = unsafe rows.gradients + row &* rows.stride
      let decay = rows.decay(of: row, at: step)
      for column in stride(from: 0, to: rows.stride, by: 8) {
        let weight = unsafe load8(weights + column)
        let g = unsafe load8(gradient + column).addingProduct(decay, weight)
        let sum = unsafe load8(sums + column).addingProduct(g, g)
        let new = weight - rate * g / (squareRoot(sum) + epsilon)
        unsafe store8(sum, sums + column)
        unsafe store8(new, weights + column)
        finiteness.note(new, sum)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }

  private func rowwiseAdagrad(
    _ step: Step, _ rows: Rows, _ sums: UnsafeMutablePointer<Float>
  ) -> Bool {
    let ahead = Ahead(rows, streams: 1)
    var finiteness = Finiteness()
    for row in 0..<rows.count {
      unsafe ahead.fetch(row, rows, nil, nil, number: sums)
      let weights = unsafe rows.weights(of: Int(rows.index[row]))
      let gradient = unsafe rows.gradients + row &* rows.stride
      let decay = rows.decay(of: row, at: step)
      var squares = SIMD8<Float>.zero
      for column in stride(from: 0, to: rows.stride, by: 8) {
        let g = unsafe load8(gradient + column).addingProduct(decay, load8(weights + column))
        squares = squares.addingProduct(g, g)
      }
      let slot = unsafe rows.stateStart(of: Int(rows.index[row]))
      unsafe sums[slot] += horizontalSum(squares) / Float(rows.columns)
      let sum = unsafe sums[slot]
      let rate = SIMD8(repeating: step.rate / (sum.squareRoot() + step.epsilon))
      finiteness.note(SIMD8(repeating: sum))
      for column in stride(from: 0, to: rows.stride, by: 8) {
        let weight = unsafe load8(weights + column)
        let g = unsafe load8(gradient + column).addingProduct(decay, weight)
        let new = weight - rate * g
        unsafe store8(new, weights + column)
        finiteness.note(new)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }

  private func adam(
    _ step: Step, _ rows: Rows, _ first: UnsafeMutablePointer<Float>,
    _ second: UnsafeMutablePointer<Float>
  ) -> Bool {
    // rate · m̂ / (√v̂ + ε) = (rate · √c₂ / c₁) · m / (√v + ε√c₂), with c the corrections.
    let root = step.correction2.squareRoot()
    let rate = SIMD8(repeating: step.rate * root / step.correction1)
    let epsilon = SIMD8(repeating: step.epsilon * root)
    let (beta1, beta2) = (SIMD8(repeating: step.beta1), SIMD8(repeating: step.beta2))
    let (new1, new2) = (SIMD8(repeating: 1 - step.beta1), SIMD8(repeating: 1 - step.beta2))
    let ahead = Ahead(rows, streams: 3)
    var finiteness = Finiteness()
    for row in 0..<rows.count {
      unsafe ahead.fetch(row, rows, first, second)
      let weights = unsafe rows.weights(of: Int(rows.index[row]))
      let state = unsafe rows.stateStart(of: Int(rows.index[row]))
      let gradient = unsafe rows.gradients + row &* rows.stride
      let decay = rows.decay(of: row, at: step)
      for column in stride(from: 0, to: rows.stride, by: 8) {
        let weight = unsafe load8(weights + column)
        let g = unsafe load8(gradient + column).addingProduct(decay, weight)
        let m = unsafe (new1 * g).addingProduct(beta1, load8(first + state + column))
        let v = unsafe (new2 * g * g).addingProduct(beta2, load8(second + state + column))
        let new = weight - rate * m / (squareRoot(v) + epsilon)
        unsafe store8(m, first + state + column)
        unsafe store8(v, second + state + column)
        unsafe store8(new, weights + column)
        // The first moment is a mean of gradients: where it is not finite, no square is.
        finiteness.note(new, v)
      }
      finiteness.endRow()
    }
    return finiteness.isFinite
  }
}

/// `base` to a whole power, by squaring.
private func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, square, rest) = (1.0, base, exponent)
  while rest > 0 {
    if rest & 1 == 1 { result *= square }
    square *= square
    rest >>= 1
  }
  return result
}
