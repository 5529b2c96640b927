extension SparseProduct {
  /// Writes the partial sums of `Sᵀ · dense`, one row per column of `S` and block of shards.
  ///
  /// - Parameters:
  ///   - sparse: `Sᵀ`.
  ///   - dense: `(R, columns)`.
  ///   - columns: Padded to whole blocks; 8, 16, 32, 64 and 128 stay in registers.
  ///   - scales: Factors of columns, `outputs`, and of rows, `inputs`. They are applied within
  ///     shards, so that sums over ranks do not depend on them.
  ///   - scratch: The stack, for rows of at least `columns` floats.
  ///   - partials: Those of `sparse.makePartials(stride:)`: its rows are overwritten from `column`
  ///     on.
  ///   - column: The first column of the partial rows that is written.
  /// - Complexity: O((E + leaves) · columns); no allocation, no communication.
  package static func multiplyTransposed(
    _ sparse: SparseColumns, by dense: Matrix, columns: Int, scales: Scales = Scales(),
    scratch: TreeScratch, into partials: PartialRows, column: Int = 0
  ) {
    let width = RowLayout.wholeBlocks(columns)
    precondition(width <= scratch.stride, "the stack has room for all columns")
    precondition(column + width <= partials.stride, "partial rows have room for all columns")
    precondition(partials.keys === sparse.keys, "the partial sums are those of this matrix")
    let sums = unsafe Columns(
      sparse: sparse, dense: dense, scales: scales, scratch: scratch,
      target: MutableMatrix(partials.rows.pointer + column, stride: partials.stride))
    let blocks = width / 8
    switch unsafe (sparse.values?.pointer, scales.inputs) {
    case (let values?, let inputs?):
      unsafe Weighted(sums, ScaledEntryValues(values: values, scales: inputs)).run(blocks: blocks)
    case (let values?, nil):
      unsafe Weighted(sums, EntryValues(values: values)).run(blocks: blocks)
    case (nil, let inputs?):
      unsafe Weighted(sums, InputScales(scales: inputs)).run(blocks: blocks)
    case (nil, nil):
      Weighted(sums, Unweighted()).run(blocks: blocks)
    }
  }

  /// What a transposed product reads and writes.
  @safe
  private struct Columns {
    let sparse: SparseColumns
    let dense: Matrix
    let scales: Scales
    let scratch: TreeScratch
    let target: MutableMatrix
  }

  private struct Weighted<Weights: EntryWeights>: ColumnKernel {
    let sums: Columns
    let weights: Weights

    init(_ sums: Columns, _ weights: Weights) { (self.sums, self.weights) = (sums, weights) }

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (sparse, target) = (sums.sparse, sums.target.columns(from: column))
      let dense = sums.dense.columns(from: column)
      let (leafStarts, shards) = unsafe (sparse.leafStarts.pointer, sparse.shards.pointer)
      let (entryStarts, rows) = unsafe (sparse.entryStarts.pointer, sparse.rows.pointer)
      var stack = TreeStack(scratch: sums.scratch, column: column)
      var (leaf, entry) = (0, 0)
      for partial in 0..<sparse.partialCount {
        let lastLeaf = unsafe leafStarts[partial &+ 1] &- 1
        let scale = unsafe sums.scales.outputs.map {
          unsafe SIMD8(repeating: $0[Int(sparse.keys.pointer[partial])])
        }
        while true {
          let end = unsafe entryStarts[leaf &+ 1]
          var sum = Lanes()
          repeat {
            unsafe prefetch(dense.row(Int(rows[entry &+ prefetchDistance])), width: Lanes.width)
            let index = unsafe Int(rows[entry])
            unsafe weights.add(dense.row(index), entry: entry, index: index, to: &sum)
            entry &+= 1
          } while entry < end
          if let scale { sum.scale(by: scale) }
          leaf &+= 1
          if leaf > lastLeaf {
            stack.finish(&sum)
            unsafe sum.store(to: target.row(partial))
            break
          }
          unsafe stack.put(&sum, last: shards[leaf &- 1], next: shards[leaf])
        }
      }
    }
  }
}
