import Kernels

/// A sparse matrix whose rows lie in 16 shards, some of them empty, and the dense matrices it meets.
struct SparseProblem {
  /// `both` gives the entries their values later than their places.
  enum Weights: CaseIterable {
    case none, scales, values, both

    var hasScales: Bool { self == .scales || self == .both }
    var hasValues: Bool { self == .values || self == .both }
  }

  static let (columnCount, shardCount) = (5, 16)

  let weights: Weights
  let width: Int
  var rowsPerShard = [Int](repeating: 0, count: shardCount)
  /// The columns of each row; column 3 is empty.
  var entries: [[UInt32]] = []
  var values: [[Float]] = []
  let (rowScales, columnScales): ([Float], [Float])
  /// `(R, width)` and `(C, width)`.
  let (users, items): ([Float], [Float])

  init(_ weights: Weights, width: Int, seed: UInt64) {
    self.weights = weights
    self.width = width
    var draws = Draws(seed: seed)
    for shard in 0..<Self.shardCount where ![3, 8, 9, 15].contains(shard) {
      rowsPerShard[shard] = draws.integer(below: 4)
      for _ in 0..<rowsPerShard[shard] {
        entries.append([0, 1, 2, 4].filter { _ in draws.integer(below: 3) > 0 })
      }
    }
    entries.append([])
    rowsPerShard[14] += 1
    values = entries.map { draws.floats($0.count) }
    rowScales = draws.floats(entries.count)
    columnScales = draws.floats(Self.columnCount)
    users = draws.floats(entries.count * width)
    items = draws.floats(Self.columnCount * width)
  }

  /// The rows of some shards.
  func rows(of shards: Range<Int>) -> Range<Int> {
    let start = rowsPerShard[..<shards.lowerBound].reduce(0, +)
    return start..<start + rowsPerShard[shards].reduce(0, +)
  }

  func sparse(_ rows: Range<Int>) -> SparseRows {
    var starts = [0]
    for row in rows { starts.append(starts[starts.count - 1] + entries[row].count) }
    let startBuffer = AlignedBuffer(starts)
    let columnBuffer = AlignedBuffer(rows.flatMap { entries[$0] })
    let valueBuffer = AlignedBuffer(rows.flatMap { values[$0] })
    let sparse = unsafe SparseRows(
      rowCount: rows.count, columnCount: Self.columnCount, starts: startBuffer.pointer,
      columns: columnBuffer.pointer, values: weights == .values ? valueBuffer.pointer : nil)
    withExtendedLifetime((startBuffer, columnBuffer)) {}
    return weights == .both ? SparseRows(sparse, values: valueBuffer) : sparse
  }

  private func transposed(_ rows: Range<Int>, _ runs: ShardRuns, ordered: Bool) -> SparseColumns {
    let sparse = sparse(rows)
    let columns = SparseColumns(sparse, runs: runs, ordered: ordered)
    guard weights == .both, let values = sparse.values else { return columns }
    let moved = AlignedBuffer<Float>(count: values.count)
    for (entry, place) in SparseColumns.places(of: sparse).values.enumerated() {
      unsafe moved.pointer[Int(place)] = values.pointer[entry]
    }
    let pattern = SparseProblem(self, weights: .none)
    return SparseColumns(
      SparseColumns(pattern.sparse(rows), runs: runs, ordered: ordered), values: moved)
  }

  private init(_ other: SparseProblem, weights: Weights) {
    (self.weights, width, rowsPerShard) = (weights, other.width, other.rowsPerShard)
    (entries, values) = (other.entries, other.values)
    (rowScales, columnScales) = (other.rowScales, other.columnScales)
    (users, items) = (other.users, other.items)
  }

  /// `S · items` of all rows, added to `total` as well.
  func product(total: Rows? = nil) -> Rows {
    let sparse = sparse(0..<entries.count)
    let output = Rows(filled: .nan, count: entries.count, columns: width)
    let dense = Rows(items, columns: width)
    let (outputs, inputs) = (AlignedBuffer(rowScales), AlignedBuffer(columnScales))
    let scales = unsafe SparseProduct.Scales(
      outputs: weights.hasScales ? outputs.pointer : nil,
      inputs: weights.hasScales ? inputs.pointer : nil)
    SparseProduct.multiply(
      sparse, by: dense.matrix, columns: width, scales: scales, into: output.mutable,
      total: total?.mutable)
    withExtendedLifetime((outputs, inputs, dense, total)) {}
    return output
  }

  /// The partial sums of `Sᵀ · users` of a rank that owns `shards`.
  func transposedProduct(
    shards: Range<Int>, blocks: [Range<Int>], ordered: Bool = true
  ) -> (keys: [UInt32], blocks: [UInt32], rows: [Float]) {
    let rows = rows(of: shards)
    let values = users[rows.lowerBound * width..<rows.upperBound * width]
    let dense = Rows(Array(values), columns: width)
    let starts = AlignedBuffer(
      (shards.lowerBound...shards.upperBound).map { shard in
        UInt32(rowsPerShard[shards.lowerBound..<shard].reduce(0, +))
      })
    let numbers = AlignedBuffer(shards.map { UInt32($0) })
    let firsts = AlignedBuffer(blocks.flatMap { b in b.map { _ in UInt32(b.lowerBound) } })
    let unread = AlignedBuffer<UInt16>(count: 1)
    let sparse = unsafe transposed(
      rows,
      ShardRuns(
        starts: starts.pointer, shards: numbers.pointer, blocks: firsts.pointer,
        shardOfRow: unread.pointer, count: shards.count), ordered: ordered)
    let (outputs, inputs) = (AlignedBuffer(columnScales), AlignedBuffer(Array(rowScales[rows])))
    let scales = unsafe SparseProduct.Scales(
      outputs: weights.hasScales ? outputs.pointer : nil,
      inputs: weights.hasScales ? inputs.pointer : nil)
    let partials = sparse.makePartials(stride: 8 + dense.stride)
    SparseProduct.multiplyTransposed(
      sparse, by: dense.matrix, columns: width, scales: scales,
      scratch: TreeScratch(stride: dense.stride, shardCount: Self.shardCount), into: partials,
      column: 8)
    withExtendedLifetime((dense, starts, numbers, firsts, unread, outputs, inputs)) {}
    let sums = partials.rows.values
    return (
      partials.keys.values, partials.blocks.values,
      (0..<partials.count * width).map {
        sums[$0 / width * partials.stride + 8 + $0 % width]
      }
    )
  }
}

/// The documented order of operations, one scalar at a time.
extension SparseProblem {
  func orderedRow(_ row: Int) -> [Float] {
    (0..<width).map { feature in
      var sum: Float = 0
      for (entry, column) in entries[row].enumerated() {
        let value = items[Int(column) * width + feature]
        switch weights {
        case .none: sum += value
        case .values: sum.addProduct(values[row][entry], value)
        case .scales: sum.addProduct(columnScales[Int(column)], value)
        case .both: sum.addProduct(values[row][entry] * columnScales[Int(column)], value)
        }
      }
      return weights.hasScales ? rowScales[row] * sum : sum
    }
  }

  /// The sum of a column over some rows; nil without entries.
  func orderedColumn(_ column: UInt32, rows: Range<Int>) -> [Float]? {
    let places = rows.compactMap { row in
      entries[row].firstIndex(of: column).map { (row, $0) }
    }
    guard !places.isEmpty else { return nil }
    return (0..<width).map { feature in
      var sum: Float = 0
      for (row, entry) in places {
        let value = users[row * width + feature]
        switch weights {
        case .none: sum += value
        case .values: sum.addProduct(values[row][entry], value)
        case .scales: sum.addProduct(rowScales[row], value)
        case .both: sum.addProduct(values[row][entry] * rowScales[row], value)
        }
      }
      return weights.hasScales ? columnScales[Int(column)] * sum : sum
    }
  }

  /// The sum of a column along the tree over `shards`, by recursion; nil without entries.
  func treeColumn(_ column: UInt32, _ shards: Range<Int>) -> [Float]? {
    treeSum(
      (0..<Self.shardCount).map { orderedColumn(column, rows: rows(of: $0..<$0 + 1)) }, shards)
  }
}
