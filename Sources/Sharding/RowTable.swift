package import Kernels

/// Rows of parameters with the state of their optimizer.
///
/// Weights are held for a contiguous range of rows, state only for the rows this rank owns. A
/// replicated item table holds all rows, a sharded one what it owns; user tables hold what they
/// own; dense parameters are a table of one row that every rank owns.
///
/// Weights, moments and last steps are arrays of their own, or lie *side by side*, all of a row in one
/// place: then an update of a row far out of the cache misses the page tables once and not four times.
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
  /// The weights of the first row that is held; the others follow after ``spacing`` each.
  package let weights: AlignedBuffer<Float>
  /// Floats from the weights of a row to those of the next: ``stride``, or more.
  package let spacing: Int
  /// One per moment of the optimizer: that of the first row that is owned; the others follow after
  /// ``stateSpacing`` each.
  package let state: [AlignedBuffer<Float>]
  /// Floats per row of each moment: ``stride``, or 1.
  package let stateCounts: [Int]
  /// Floats from a moment of a row to that of the next.
  package let stateSpacing: Int
  /// The step that last updated the first row that is owned, 0 for none; the others follow after
  /// ``lastStepSpacing`` each. `nil` for dense parameters, which every step updates.
  package let lastSteps: AlignedBuffer<UInt32>?
  /// Numbers from one last step to the next.
  package let lastStepSpacing: Int
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
  ///   - isSideBySide: Whether all of a row lies in one place. Only if no others are held than those
  ///     owned, in memory of this table alone.
  package init(
    layout: RowLayout, stride: Int? = nil, held: Range<Int>, owned: Range<Int>,
    optimizer: RowOptimizer, isLazy: Bool = true, shared: SharedRows? = nil,
    isSideBySide: Bool = false
  ) {
    precondition(
      held.lowerBound <= owned.lowerBound && owned.upperBound <= held.upperBound,
      "a table holds the rows it owns")
    precondition(
      !isSideBySide || (shared == nil && held == owned && isLazy),
      "only rows that are owned alone lie side by side")
    let stride = stride ?? layout.stride
    self.layout = layout
    self.stride = stride
    columns = layout.factors + (layout.hasBias ? 1 : 0)
    self.held = held
    self.owned = owned
    self.optimizer = optimizer
    written = shared?.written ?? held
    stateCounts = optimizer.stateCounts(stride: stride)
    if isSideBySide {
      let places = SideBySide(stride: stride, stateCounts: stateCounts, rows: owned.count)
      (weights, state, lastSteps) = (places.weights, places.state, places.lastSteps)
      (spacing, stateSpacing, lastStepSpacing) = (places.spacing, places.spacing, places.spacing)
      return
    }
    weights = shared?.weights ?? AlignedBuffer(count: held.count * stride)
    precondition(weights.count >= held.count * stride, "the weights have room for all rows")
    state = stateCounts.map { AlignedBuffer(count: owned.count * $0) }
    lastSteps = isLazy ? AlignedBuffer(count: owned.count) : nil
    (spacing, stateSpacing, lastStepSpacing) = (stride, stateCounts.first ?? stride, 1)
  }

  /// The weights of a row that is held.
  package func row(_ row: Int) -> UnsafeMutablePointer<Float> {
    unsafe weights.pointer + (row - held.lowerBound) * spacing
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
        weightOffset: held.lowerBound, weightSpacing: spacing, firstState: state.first?.pointer,
        secondState: state.count > 1 ? state[1].pointer : nil, stateOffset: owned.lowerBound,
        stateSpacing: stateSpacing, lastSteps: lastSteps?.pointer,
        lastStepSpacing: lastStepSpacing, columns: columns, stride: stride))
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
      offset: held.lowerBound, spacing: spacing, stride: stride)
  }

  /// Copies rows that are held to `target`, `(count, stride)`.
  package func gather(
    index: UnsafePointer<UInt32>, count: Int, into target: UnsafeMutablePointer<Float>
  ) {
    unsafe RowShift.gather(
      index: index, count: count, weights: weights.pointer, offset: held.lowerBound,
      spacing: spacing, stride: stride, into: target)
  }

  /// Consecutive rows that are held, `(rows.count, stride)`: where they are, or a copy of rows that lie
  /// side by side with their state.
  package func consecutive(_ rows: Range<Int>) -> AlignedBuffer<Float> {
    let count = rows.count * stride
    if spacing == stride {
      return unsafe AlignedBuffer(viewing: row(rows.lowerBound), count: count, owner: weights)
    }
    let copy = AlignedBuffer<Float>(count: count)
    for (position, number) in rows.enumerated() {
      unsafe (copy.pointer + position * stride).update(from: row(number), count: stride)
    }
    return copy
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

/// One block of memory in which weights, moments and last step of a row follow each other:
///
///     | weights | first moment | second moment | last step, padding |    the next row …
///
/// Padded to whole blocks of 8 floats.
private struct SideBySide {
  let weights: AlignedBuffer<Float>
  let state: [AlignedBuffer<Float>]
  let lastSteps: AlignedBuffer<UInt32>
  /// Floats from one row to the next.
  let spacing: Int

  init(stride: Int, stateCounts: [Int], rows: Int) {
    let lastStep = stride + stateCounts.reduce(0, +)
    let spacing = RowLayout.wholeBlocks(lastStep + 1)
    self.spacing = spacing
    let slab = AlignedBuffer<Float>(count: rows * spacing)
    /// What starts at a column, as far as the last row.
    func view<Element>(from column: Int, _: Element.Type) -> AlignedBuffer<Element> {
      unsafe AlignedBuffer(
        viewing: UnsafeMutableRawPointer(slab.pointer + min(column, slab.count)),
        count: max(0, slab.count - column), owner: slab)
    }
    var column = stride
    weights = view(from: 0, Float.self)
    state = stateCounts.map { count in
      defer { column += count }
      return view(from: column, Float.self)
    }
    lastSteps = view(from: lastStep, UInt32.self)
  }
}
