import Kernels

/// A batch over several shards with repeated users and items, and the tables it refers to.
///
/// Users `2s, 2s + 1` belong to shard `s`; items belong to none.
struct Problem {
  static let itemCount = 5

  let layout: RowLayout
  let rowsPerShard: [Int]
  var userIndex: [UInt32] = []
  var itemIndex: [UInt32] = []
  /// δ of each row.
  let scoreGradients: [Float]
  var users: [Float]
  var items: [Float]
  var dense: [Float]
  /// The decay of each row's user and item row, if any.
  var decays: (users: [Float], items: [Float])?

  init(layout: RowLayout, rowsPerShard: [Int], seed: UInt64) {
    var draws = Draws(seed: seed)
    self.layout = layout
    self.rowsPerShard = rowsPerShard
    for (shard, count) in rowsPerShard.enumerated() {
      for _ in 0..<count {
        userIndex.append(UInt32(2 * shard + draws.integer(below: 2)))
        itemIndex.append(UInt32(draws.integer(below: Self.itemCount)))
      }
    }
    scoreGradients = draws.floats(userIndex.count)
    users = layout.rows(2 * rowsPerShard.count, &draws)
    items = layout.rows(Self.itemCount, &draws)
    dense = [Float](repeating: 0, count: WeightedProduct.denseCount(layout))
    for column in 0..<layout.factors { dense[column] = draws.float() }
    dense[layout.stride] = draws.float()
  }

  /// `rows` rows over eight shards, two of them empty.
  init(layout: RowLayout, rows: Int, seed: UInt64) {
    var counts = [Int](repeating: 0, count: 8)
    var draws = Draws(seed: seed &+ 1)
    for _ in 0..<rows { counts[1 + draws.integer(below: 6)] += 1 }
    self.init(layout: layout, rowsPerShard: counts, seed: seed)
  }

  /// The same with a decay for some rows.
  func decaying() -> Self {
    var problem = self
    problem.decays = (
      (0..<rowCount).map { $0 % 3 == 0 ? 0 : 0.25 * Float($0 % 4) },
      (0..<rowCount).map { $0 % 4 == 1 ? 0 : 0.125 * Float($0 % 5) }
    )
    return problem
  }

  var rowCount: Int { userIndex.count }
  var userCount: Int { 2 * rowsPerShard.count }

  /// The rows of a shard.
  func rows(of shard: Int) -> Range<Int> {
    let start = rowsPerShard.prefix(shard).reduce(0, +)
    return start..<start + rowsPerShard[shard]
  }

  func user(_ row: Int, _ column: Int) -> Float {
    users[Int(userIndex[row]) * layout.stride + column]
  }

  func item(_ row: Int, _ column: Int) -> Float {
    items[Int(itemIndex[row]) * layout.stride + column]
  }

  /// Floats from one row to the next: tables may hold more than the rows that are read.
  private var spacing: Int { layout.stride + 8 }

  /// Rows with something between them that must not be read.
  private func spaced(_ rows: [Float]) -> AlignedBuffer<Float> {
    AlignedBuffer(
      stride(from: 0, to: rows.count, by: layout.stride).flatMap {
        rows[$0..<$0 + layout.stride] + [Float](repeating: .nan, count: spacing - layout.stride)
      })
  }

  func scores() -> [Float] {
    let (userBuffer, itemBuffer) = (spaced(users), spaced(items))
    let (userRows, itemRows) = (AlignedBuffer(userIndex), AlignedBuffer(itemIndex))
    let (denseBuffer, scores) = (AlignedBuffer(dense), AlignedBuffer<Float>(count: rowCount))
    unsafe WeightedProduct.forward(
      into: scores.pointer, count: rowCount,
      users: WeightedProduct.Side(
        base: userBuffer.pointer, spacing: spacing, index: userRows.pointer),
      items: WeightedProduct.Side(
        base: itemBuffer.pointer, spacing: spacing, index: itemRows.pointer),
      dense: denseBuffer.pointer, layout: layout)
    return withExtendedLifetime((userBuffer, itemBuffer, userRows, itemRows, denseBuffer)) {
      scores.values
    }
  }
}

/// What the backward pass of one rank gives.
struct Gradients {
  var userKeys: [UInt32]
  /// `(users of the batch, stride)`.
  var userRows: [Float]
  /// `(shards of the rank, stride + 8)`.
  var denseRows: [Float]
  var itemKeys: [UInt32]
  var itemBlocks: [UInt32]
  /// `(partials, stride)`.
  var itemRows: [Float]
}

extension Problem {
  /// The backward pass of a rank that owns `shards`, whose sums stay inside `blocks`.
  func gradients(shards: Range<Int>, blocks: [Range<Int>], ordered: Bool = true) -> Gradients {
    let rows = shards.flatMap { self.rows(of: $0) }
    var starts: [UInt32] = [0]
    for shard in shards { starts.append(starts[starts.count - 1] + UInt32(rowsPerShard[shard])) }
    let firstShards = blocks.flatMap { block in block.map { _ in UInt32(block.lowerBound) } }
    let (startBuffer, blockBuffer) = (AlignedBuffer(starts), AlignedBuffer(firstShards))
    let shardBuffer = AlignedBuffer(shards.map { UInt32($0) })
    let shardOfRow = AlignedBuffer(
      shards.enumerated().flatMap { index, shard in
        [UInt16](repeating: UInt16(index), count: rowsPerShard[shard])
      })
    let (userBuffer, itemBuffer) = (spaced(users), spaced(items))
    let userRows = AlignedBuffer(rows.map { userIndex[$0] })
    let itemRows = AlignedBuffer(rows.map { itemIndex[$0] })
    let deltas = AlignedBuffer(rows.map { scoreGradients[$0] })
    let denseBuffer = AlignedBuffer(dense)
    let userDecays = AlignedBuffer(rows.map { decays?.users[$0] ?? .nan })
    let itemDecays = AlignedBuffer(rows.map { decays?.items[$0] ?? .nan })
    let input = unsafe WeightedProduct.BackwardInput(
      scoreGradients: deltas.pointer,
      users: WeightedProduct.Side(
        base: userBuffer.pointer, spacing: spacing, index: userRows.pointer),
      items: WeightedProduct.Side(
        base: itemBuffer.pointer, spacing: spacing, index: itemRows.pointer),
      dense: denseBuffer.pointer, layout: layout,
      runs: ShardRuns(
        starts: startBuffer.pointer, shards: shardBuffer.pointer, blocks: blockBuffer.pointer,
        shardOfRow: shardOfRow.pointer, count: shards.count),
      decay: decays == nil
        ? nil : BatchDecay(users: userDecays.pointer, items: itemDecays.pointer))
    let (byUser, byItem) = (SegmentSort(capacity: rows.count), SegmentSort(capacity: rows.count))
    unsafe byUser.sort(userRows.pointer, count: rows.count, bound: userCount)
    unsafe byItem.sort(itemRows.pointer, count: rows.count, bound: Self.itemCount)
    let userGradients = AlignedBuffer<Float>(count: rows.count * layout.stride)
    let denseStride = WeightedProduct.denseCount(layout)
    // Not zero: the kernel must overwrite.
    let denseGradients = AlignedBuffer<Float>(
      [Float](repeating: .nan, count: shards.count * denseStride))
    unsafe WeightedProduct.backwardUsers(
      input, segments: byUser, gradients: userGradients.pointer,
      denseGradients: denseGradients.pointer)
    let partials = PartialRows(capacity: rows.count, stride: layout.stride)
    WeightedProduct.backwardItems(
      input, segments: byItem, ordered: ordered,
      scratch: TreeScratch(stride: layout.stride, shardCount: rowsPerShard.count),
      partials: partials)
    defer { withExtendedLifetime((userBuffer, itemBuffer, deltas, denseBuffer, shardOfRow)) {} }
    defer { withExtendedLifetime((userDecays, itemDecays)) {} }
    return withExtendedLifetime(
      [startBuffer, blockBuffer, shardBuffer, userRows, itemRows]
    ) {
      Gradients(
        userKeys: byUser.segmentKeys.prefix(byUser.segmentCount),
        userRows: userGradients.prefix(byUser.segmentCount * layout.stride),
        denseRows: denseGradients.values,
        itemKeys: partials.keys.prefix(partials.count),
        itemBlocks: partials.blocks.prefix(partials.count),
        itemRows: partials.rows.prefix(partials.count * layout.stride))
    }
  }

  /// The backward pass of the only rank.
  func gradients(ordered: Bool = true) -> Gradients {
    let all = 0..<rowsPerShard.count
    return gradients(shards: all, blocks: [all], ordered: ordered)
  }
}
