package import Kernels

/// Rows of parameters with the state of their optimizer.
///
/// Weights are held for a contiguous range of rows, state only for the rows this rank owns. A
/// replicated item table holds all rows, a sharded one what it owns; user tables hold what they
/// own; dense parameters are a table of one row that every rank owns.
@safe
package final class RowTable {
  package let layout: RowLayout
  /// Floats from one row to the next.
  package let stride: Int
  /// Values of a row that are parameters, for means over a row.
  package let columns: Int
  /// Rows whose weights are here.
  package let held: Range<Int>
  /// Rows that this rank writes when the whole table is written: in memory that it shares with
  /// other ranks its part, else all that are held.
  package let written: Range<Int>
  /// Rows whose state is here, and which this rank updates.
  package let owned: Range<Int>
  /// `(held.count, stride)`.
  package let weights: AlignedBuffer<Float>
  /// One per moment of the optimizer: `(owned.count, stride)`, or `(owned.count)`.
  package let state: [AlignedBuffer<Float>]
  /// Floats per row of each moment.
  package let stateCounts: [Int]
  /// `(owned.count)`: the step that last updated each row, 0 for none; `nil` for dense parameters,
  /// which every step updates.
  package let lastSteps: AlignedBuffer<UInt32>?
  let optimizer: RowOptimizer

  /// A table of zeros.
  ///
  /// - Parameters:
  ///   - layout: The layout of a row.
  ///   - stride: Floats per row, at least those of the layout, a multiple of 8.
  ///   - held: Rows whose weights are here.
  ///   - owned: Rows whose state is here; part of `held`.
  ///   - optimizer: Decides the state.
  ///   - isLazy: Whether a step updates some rows only, whose weight decay catches up.
  ///   - shared: Zeroed memory for the weights, in which all rows are held.
  package init(
    layout: RowLayout, stride: Int? = nil, held: Range<Int>, owned: Range<Int>,
    optimizer: RowOptimizer, isLazy: Bool = true, shared: SharedRows? = nil
  ) {
    precondition(
      held.lowerBound <= owned.lowerBound && owned.upperBound <= held.upperBound,
      "a table holds the rows it owns")
    self.layout = layout
    self.stride = stride ?? layout.stride
    columns = layout.factors + (layout.hasBias ? 1 : 0)
    self.held = held
    self.owned = owned
    self.optimizer = optimizer
    lastSteps = isLazy ? AlignedBuffer(count: owned.count) : nil
    written = shared?.written ?? held
    weights = shared?.weights ?? AlignedBuffer(count: held.count * self.stride)
    precondition(weights.count >= held.count * self.stride, "the weights have room for all rows")
    stateCounts = optimizer.stateCounts(stride: self.stride)
    state = stateCounts.map { AlignedBuffer(count: owned.count * $0) }
  }

  /// The weights of a row that is held.
  package func row(_ row: Int) -> UnsafeMutablePointer<Float> {
    unsafe weights.pointer + (row - held.lowerBound) * stride
  }

  /// Updates rows that are owned.
  ///
  /// - Parameters:
  ///   - step: The optimizer's constants.
  ///   - index: `(count)`: rows.
  ///   - count: Rows to update.
  ///   - gradients: `(count, stride)`.
  /// - Returns: Whether all new weights and all new state are finite.
  @discardableResult
  package func update(
    _ step: RowOptimizer.Step, index: UnsafePointer<UInt32>, count: Int,
    gradients: UnsafePointer<Float>
  ) -> Bool {
    unsafe optimizer.apply(
      step,
      to: RowOptimizer.Rows(
        index: index, count: count, gradients: gradients, weights: weights.pointer,
        weightOffset: held.lowerBound, firstState: state.first?.pointer,
        secondState: state.count > 1 ? state[1].pointer : nil, stateOffset: owned.lowerBound,
        lastSteps: lastSteps?.pointer, columns: columns, stride: stride))
  }

  /// Takes the virtual step `θ − factor · s` on rows that are held.
  ///
  /// - Parameters:
  ///   - factor: 1 for the direct step, −1 for the inverse.
  ///   - index: `(count)`: rows.
  ///   - count: Rows to shift.
  ///   - shifts: `(count, stride)`.
  /// - Returns: Whether all shifted weights are finite.
  @discardableResult
  package func shift(
    factor: Float, index: UnsafePointer<UInt32>, count: Int, shifts: UnsafePointer<Float>
  ) -> Bool {
    unsafe RowShift.commit(
      factor: factor, index: index, count: count, shifts: shifts, weights: weights.pointer,
      offset: held.lowerBound, stride: stride)
  }

  /// Copies rows that are held to `target`, `(count, stride)`.
  package func gather(
    index: UnsafePointer<UInt32>, count: Int, into target: UnsafeMutablePointer<Float>
  ) {
    unsafe RowShift.gather(
      index: index, count: count, weights: weights.pointer, offset: held.lowerBound,
      stride: stride, into: target)
  }

  /// Overwrites rows that are held with `rows`, `(count, stride)`.
  package func replace(
    index: UnsafePointer<UInt32>, count: Int, with rows: UnsafePointer<Float>
  ) {
    for position in 0..<count {
      unsafe row(Int(index[position])).update(from: rows + position * stride, count: stride)
    }
  }
}
