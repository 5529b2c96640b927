import Kernels
import Measuring
import Randomness
import Sharding

/// One table and some steps' worth of random rows.
///
/// It owns the buffers whose pointers it passes on, so its use is safe.
@safe
final class TableBenchmark {
  private static let batch = 8192
  /// Steps before rows repeat: half a million rows, more than any cache holds.
  private static let steps = 64

  private let table: RowTable
  private let optimizer: RowOptimizer
  /// The distinct rows of each step, ascending, as the sort of a step leaves them.
  private let keys: [AlignedBuffer<UInt32>]
  private let rows: AlignedBuffer<Float>
  private var step = 0

  init(
    rows count: Int, factors: Int, optimizer: RowOptimizer, placement: RowPlacement = .bySize
  ) {
    let layout = RowLayout(factors: factors, hasBias: false)
    table = RowTable(
      layout: layout, held: 0..<count, owned: 0..<count, optimizer: optimizer,
      isSideBySide: placement.isSideBySide(layout, rows: count, optimizer))
    self.optimizer = optimizer
    rows = AlignedBuffer(count: Self.batch * layout.stride)
    let random = Philox(seed: 1, purpose: .verification)
    keys = (0..<Self.steps).map { step in
      let drawn = Set(
        (0..<Self.batch).map { random.integer(below: count, epoch: step, row: $0) })
      let buffer = AlignedBuffer<UInt32>(count: drawn.count)
      for (index, row) in drawn.sorted().enumerated() { unsafe buffer.pointer[index] = UInt32(row) }
      return buffer
    }
    // Pages are made at the first touch, which is not what is measured.
    for _ in 0..<Self.steps { run() }
  }

  /// The memory of such a table.
  static func bytes(rows: Int, factors: Int, optimizer: RowOptimizer) -> Int {
    let stride = RowLayout(factors: factors, hasBias: false).stride
    let floats = stride + optimizer.stateCounts(stride: stride).reduce(0, +) + 1
    // Side by side they are padded to whole blocks.
    return rows * 4 * RowLayout.wholeBlocks(floats)
  }

  /// Processor time of a step, per row.
  func secondsPerRow() -> Double {
    let distinct = Double(keys.reduce(0) { $0 + $1.count }) / Double(Self.steps)
    return ProcessorClock.secondsPerCall(atLeast: 0.2, run) / distinct
  }

  private func run() {
    let index = keys[step % Self.steps]
    step += 1
    unsafe table.gather(index: index.pointer, count: index.count, into: rows.pointer)
    // The rows themselves stand for gradients: small numbers, already in the cache.
    unsafe table.update(
      RowOptimizer.Step(optimizer, rate: 1e-4, decay: 0, number: step), index: index.pointer,
      count: index.count, gradients: rows.pointer)
  }
}
