package import Kernels

/// Takes optimizer steps on copies of rows, to see what would come of them.
///
/// Row by row through the kernel of the real step, so what it says is exact. It costs about as much
/// as the step itself.
@safe
package final class TrialUpdate {
  private let weights: AlignedBuffer<Float>
  private let state: [AlignedBuffer<Float>]
  private let lastStep = AlignedBuffer<UInt32>(count: 1)
  private let firstRow = AlignedBuffer<UInt32>(count: 1)

  /// Room for a row of `table`.
  package init(of table: RowTable) {
    weights = AlignedBuffer(count: table.stride)
    state = table.stateCounts.map { AlignedBuffer(count: $0) }
  }

  /// Whether an update would leave all weights and all state finite; changes nothing.
  ///
  /// - Parameters:
  ///   - table: Of the same shape as that of the initialiser.
  ///   - step: The optimizer's constants.
  ///   - index: `(count)`: rows that are owned.
  ///   - count: Rows.
  ///   - gradients: `(count, stride)`.
  /// - Returns: What `table.update` would return.
  package func isFinite(
    _ table: RowTable, _ step: RowOptimizer.Step, index: UnsafePointer<UInt32>, count: Int,
    gradients: UnsafePointer<Float>
  ) -> Bool {
    for position in 0..<count {
      let row = unsafe Int(index[position])
      let slot = row - table.owned.lowerBound
      unsafe weights.pointer.update(from: table.row(row), count: table.stride)
      for (moment, copy) in state.enumerated() {
        unsafe copy.pointer.update(
          from: table.state[moment].pointer + slot * table.stateSpacing,
          count: table.stateCounts[moment])
      }
      if let lastSteps = table.lastSteps {
        unsafe lastStep.pointer[0] = unsafe lastSteps.pointer[slot * table.lastStepSpacing]
      }
      let copies = unsafe RowOptimizer.Rows(
        index: firstRow.pointer, count: 1, gradients: gradients + position * table.stride,
        weights: weights.pointer, weightOffset: 0, weightSpacing: table.stride,
        firstState: state.first?.pointer, secondState: state.count > 1 ? state[1].pointer : nil,
        stateOffset: 0, stateSpacing: table.stateCounts.first ?? table.stride,
        lastSteps: table.lastSteps == nil ? nil : lastStep.pointer, columns: table.columns,
        stride: table.stride)
      guard table.optimizer.apply(step, to: copies) else { return false }
    }
    return true
  }
}
