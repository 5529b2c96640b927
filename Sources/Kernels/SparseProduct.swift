/// Products of a sparse and a dense matrix: one propagation of LightGCN, NGCF or PinSage.
///
///     out[r] = outputs[r] · Σ_{c in row r} value · inputs[c] · dense[c]
///
/// LightGCN (He et al., SIGIR 2020) weighs an edge by `1/√(d_u d_i)`, which is a product of a number
/// per user and one per item: ``Scales``, which spare the traffic of a value per edge.
///
/// Sums run over the entries of a row in order. The transposed product adds per column what
/// `RowScatter` would add: entries in row order within a shard, then along the shard tree, so any
/// number of ranks gives the same bits. It is also the gradient of the product.
package enum SparseProduct {
  /// Factors of edges that depend on one end only; nil stands for 1.
  @safe
  package struct Scales {
    /// By the row that is written. In a transposed product: by the column, `(C)`.
    package let outputs: UnsafePointer<Float>?
    /// By the row of the dense matrix.
    package let inputs: UnsafePointer<Float>?

    /// All 1.
    package init() {
      unsafe outputs = nil
      unsafe inputs = nil
    }

    package init(outputs: UnsafePointer<Float>?, inputs: UnsafePointer<Float>?) {
      unsafe self.outputs = unsafe outputs
      unsafe self.inputs = unsafe inputs
    }
  }

  /// Writes `out = S · dense`.
  ///
  /// - Parameters:
  ///   - sparse: `S`, `(R, C)`.
  ///   - dense: `(C, columns)`.
  ///   - columns: Padded to whole blocks; 8, 16, 32, 64 and 128 stay in registers.
  ///   - scales: Factors of rows and columns.
  ///   - output: `(R, columns)`, overwritten; zero for a row without entries.
  ///   - total: `(R, columns)`: `out` is added to it; nil adds nowhere.
  /// - Complexity: O((E + R) · columns); no allocation, no communication.
  package static func multiply(
    _ sparse: SparseRows, by dense: Matrix, columns: Int, scales: Scales = Scales(),
    into output: MutableMatrix, total: MutableMatrix? = nil
  ) {
    let blocks = RowLayout.wholeBlocks(columns) / RowLayout.lanes
    let rows = Rows(sparse: sparse, dense: dense, scales: scales, output: output, total: total)
    switch unsafe (sparse.values?.pointer, scales.inputs) {
    case (let values?, let inputs?):
      unsafe Weighted(rows, ScaledEntryValues(values: values, scales: inputs)).run(blocks: blocks)
    case (let values?, nil):
      unsafe Weighted(rows, EntryValues(values: values)).run(blocks: blocks)
    case (nil, let inputs?):
      unsafe Weighted(rows, InputScales(scales: inputs)).run(blocks: blocks)
    case (nil, nil):
      Weighted(rows, Unweighted()).run(blocks: blocks)
    }
  }

  /// What a product reads and writes.
  @safe
  private struct Rows {
    let sparse: SparseRows
    let dense: Matrix
    let scales: Scales
    let output: MutableMatrix
    let total: MutableMatrix?
  }

  private struct Weighted<Weights: EntryWeights>: ColumnKernel {
    let rows: Rows
    let weights: Weights

    init(_ rows: Rows, _ weights: Weights) { (self.rows, self.weights) = (rows, weights) }

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (sparse, output) = (rows.sparse, rows.output.columns(from: column))
      let dense = rows.dense.columns(from: column)
      let (starts, columns) = unsafe (sparse.starts.pointer, sparse.columns.pointer)
      var entry = 0
      for row in 0..<sparse.rowCount {
        let end = unsafe starts[row &+ 1]
        var sum = Lanes()
        while entry < end {
          unsafe prefetch(dense.row(Int(columns[entry &+ prefetchDistance])), width: Lanes.width)
          let index = unsafe Int(columns[entry])
          unsafe weights.add(dense.row(index), entry: entry, index: index, to: &sum)
          entry &+= 1
        }
        if let scales = unsafe rows.scales.outputs {
          unsafe sum.scale(by: SIMD8(repeating: scales[row]))
        }
        unsafe sum.store(to: output.row(row))
        if let total = rows.total {
          let target = unsafe total.row(row) + column
          unsafe sum.add(target)
          unsafe sum.store(to: target)
        }
      }
    }
  }
}

/// What an entry's row is multiplied by before it is added.
protocol EntryWeights {
  /// Adds the dense row `index` for an entry.
  func add<Lanes: LaneBlock>(
    _ row: UnsafePointer<Float>, entry: Int, index: Int, to sum: inout Lanes)
}

/// All weights are 1.
struct Unweighted: EntryWeights {
  @inline(__always)
  func add<Lanes: LaneBlock>(
    _ row: UnsafePointer<Float>, entry: Int, index: Int, to sum: inout Lanes
  ) {
    unsafe sum.add(row)
  }
}

/// A weight for each entry.
@safe
struct EntryValues: EntryWeights {
  let values: UnsafePointer<Float>

  @inline(__always)
  func add<Lanes: LaneBlock>(
    _ row: UnsafePointer<Float>, entry: Int, index: Int, to sum: inout Lanes
  ) {
    unsafe sum.add(SIMD8(repeating: values[entry]), times: row)
  }
}

/// A weight for each dense row.
@safe
struct InputScales: EntryWeights {
  let scales: UnsafePointer<Float>

  @inline(__always)
  func add<Lanes: LaneBlock>(
    _ row: UnsafePointer<Float>, entry: Int, index: Int, to sum: inout Lanes
  ) {
    unsafe sum.add(SIMD8(repeating: scales[index]), times: row)
  }
}

/// A weight for each entry and one for each dense row.
@safe
struct ScaledEntryValues: EntryWeights {
  let values: UnsafePointer<Float>
  let scales: UnsafePointer<Float>

  @inline(__always)
  func add<Lanes: LaneBlock>(
    _ row: UnsafePointer<Float>, entry: Int, index: Int, to sum: inout Lanes
  ) {
    unsafe sum.add(SIMD8(repeating: values[entry] * scales[index]), times: row)
  }
}
