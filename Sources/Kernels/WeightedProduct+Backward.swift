extension WeightedProduct {
  /// What the backward pass reads.
  @safe
  package struct BackwardInput {
    /// `(B)`: the derivative of the objective by each score, δ.
    package let scoreGradients: UnsafePointer<Float>
    package let users: Side
    package let items: Side
    /// `(stride + 8)`.
    package let dense: UnsafePointer<Float>
    package let layout: RowLayout
    package let runs: ShardRuns
    /// Beside the scores' gradients.
    package let decay: BatchDecay?

    package init(
      scoreGradients: UnsafePointer<Float>, users: Side, items: Side,
      dense: UnsafePointer<Float>, layout: RowLayout, runs: ShardRuns, decay: BatchDecay? = nil
    ) {
      unsafe self.scoreGradients = unsafe scoreGradients
      self.users = users
      self.items = items
      unsafe self.dense = unsafe dense
      self.layout = layout
      self.runs = runs
      self.decay = decay
    }
  }

  /// Writes the gradient of every user row of the batch, and the dense gradient of every shard.
  ///
  ///     ∂/∂user = weight ⊙ Σ δ·item        ∂/∂weight = Σ_users user ⊙ Σ δ·item       ∂/∂bias = Σ δ
  ///
  /// and with a decay `+ Σ weight of the decay · user`.
  ///
  /// - Parameters:
  ///   - input: The batch.
  ///   - segments: The batch grouped by user. A user belongs to one shard, and user rows ascend
  ///     with shards.
  ///   - gradients: `(segments.segmentCount, stride)`, overwritten.
  ///   - denseGradients: `(S', stride + 8)`, overwritten; zero for a shard without rows.
  /// - Complexity: O(B · F); no allocation, no communication.
  package static func backwardUsers(
    _ input: BackwardInput, segments: SegmentSort, gradients: UnsafeMutablePointer<Float>,
    denseGradients: UnsafeMutablePointer<Float>
  ) {
    let layout = input.layout
    unsafe denseGradients.update(repeating: 0, count: input.runs.count &* denseCount(layout))
    let sums = unsafe UserSums(
      input: input, segments: segments, gradients: gradients, denseGradients: denseGradients)
    sums.run(blocks: layout.factorBlocks)
  }

  @safe
  private struct UserSums: ColumnKernel {
    let input: BackwardInput
    let segments: SegmentSort
    let gradients: UnsafeMutablePointer<Float>
    let denseGradients: UnsafeMutablePointer<Float>

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (stride, denseStride) = (input.layout.stride, denseCount(input.layout))
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      let (items, itemIndex) = unsafe (input.items.base + column, input.items.index)
      let (users, userIndex) = unsafe (input.users.base + column, input.users.index)
      let (itemSpacing, userSpacing) = (input.items.spacing, input.users.spacing)
      let (scale, shardOfRow) = unsafe (input.scoreGradients, input.runs.shardOfRow)
      let weight = unsafe input.dense + column
      let decay = unsafe SideDecay(weights: input.decay?.users)
      let (last, lastSegment) = (max(segments.count &- 1, 0), segments.segmentCount &- 1)
      for segment in 0..<segments.segmentCount {
        var sum = Lanes()
        var bias: Float = 0
        let start = unsafe Int(starts[segment])
        let ahead = unsafe positionAhead(
          of: segment, last: lastSegment, order: order, starts: starts)
        unsafe prefetch(users + Int(userIndex[ahead]) &* userSpacing, width: Lanes.width)
        for index in start..<(unsafe Int(starts[segment &+ 1])) {
          let next = unsafe Int(order[min(index &+ prefetchDistance, last)])
          unsafe prefetch(items + Int(itemIndex[next]) &* itemSpacing, width: Lanes.width)
          let position = unsafe Int(order[index])
          let row = unsafe items + Int(itemIndex[position]) &* itemSpacing
          unsafe sum.add(SIMD8(repeating: scale[position]), times: row)
          unsafe bias += scale[position]
        }
        let first = unsafe Int(order[start])
        // With the first columns: what it costs is looking at the rows once more.
        if column == 0 { unsafe addBias(bias, segment, shard: Int(shardOfRow[first])) }
        unsafe sum.add(
          times: users + Int(userIndex[first]) &* userSpacing,
          to: denseGradients + Int(shardOfRow[first]) &* denseStride + column)
        unsafe sum.multiply(by: weight)
        if unsafe decay.weights != nil {
          let pull = unsafe decay.sum(order, start, Int(starts[segment &+ 1]))
          unsafe sum.decay(pull, of: users + Int(userIndex[first]) &* userSpacing)
        }
        unsafe sum.store(to: gradients + segment &* stride + column)
      }
    }

    /// The sum of δ alone: the gradient of the user's bias, if there is one, and of the common one.
    @inline(__always)
    private func addBias(_ sum: Float, _ segment: Int, shard: Int) {
      let layout = input.layout
      unsafe denseGradients[shard &* denseCount(layout) &+ layout.stride] += sum
      guard layout.hasBias else { return }
      let bias = unsafe gradients + segment &* layout.stride + layout.biasColumn
      unsafe store8(.zero, bias)
      unsafe bias[0] = sum
      guard let decay = input.decay else { return }
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      let (start, end) = unsafe (Int(starts[segment]), Int(starts[segment &+ 1]))
      let user = unsafe Int(input.users.index[Int(order[start])]) &* input.users.spacing
      let value = unsafe input.users.base[user &+ layout.biasColumn]
      let pull = unsafe SideDecay(weights: decay.users).sum(order, start, end)
      unsafe bias[0] = sum.addingProduct(pull, value)
    }
  }

  /// Writes the partial sums of the gradients of every item row of the batch.
  ///
  ///     ∂/∂item = weight ⊙ Σ δ·user        one sum per item and block of shards
  ///
  /// and with a decay `+ Σ weight of the decay · item`, inside each shard's sum.
  ///
  /// - Parameters:
  ///   - input: The batch.
  ///   - segments: The batch grouped by item.
  ///   - ordered: False adds whole segments in row order, regardless of shards.
  ///   - scratch: The stack, for rows of `stride` floats.
  ///   - partials: Overwritten; room for one row per batch row.
  /// - Complexity: O(B · F); no allocation, no communication.
  package static func backwardItems(
    _ input: BackwardInput, segments: SegmentSort, ordered: Bool, scratch: TreeScratch,
    partials: PartialRows
  ) {
    let sums = ItemSums(
      input: input, segments: segments, isOrdered: ordered, scratch: scratch, partials: partials)
    sums.run(blocks: input.layout.factorBlocks)
    if input.layout.hasBias { sums.run(BiasLane.self, column: input.layout.biasColumn) }
  }

  @safe
  private struct ItemSums: ColumnKernel {
    let input: BackwardInput
    let segments: SegmentSort
    let isOrdered: Bool
    let scratch: TreeScratch
    let partials: PartialRows

    @inline(__always)
    func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int) {
      let (stride, runs) = (input.layout.stride, input.runs)
      let (order, starts) = unsafe (segments.order.pointer, segments.segmentStarts.pointer)
      let (users, userIndex) = unsafe (input.users.base + column, input.users.index)
      let userSpacing = input.users.spacing
      let (scale, weight) = unsafe (input.scoreGradients, input.dense + column)
      let decay = unsafe SideDecay(weights: input.decay?.items)
      let items = unsafe input.items.base + column
      let target = unsafe partials.rows.pointer + column
      let (last, lastSegment) = (max(segments.count &- 1, 0), segments.segmentCount &- 1)
      var stack = TreeStack(scratch: scratch, column: column)
      var written = 0
      for segment in 0..<segments.segmentCount {
        var sum = Lanes()
        let start = unsafe Int(starts[segment])
        var leafStart = start
        if unsafe decay.weights != nil {
          let ahead = unsafe positionAhead(
            of: segment, last: lastSegment, order: order, starts: starts)
          let item = unsafe Int(input.items.index[ahead]) &* input.items.spacing
          unsafe prefetch(items + item, width: Lanes.width)
        }
        var shard = unsafe isOrdered ? runs.shardOfRow[Int(order[start])] : 0
        for index in start..<(unsafe Int(starts[segment &+ 1])) {
          let next = unsafe Int(order[min(index &+ prefetchDistance, last)])
          unsafe prefetch(users + Int(userIndex[next]) &* userSpacing, width: Lanes.width)
          let position = unsafe Int(order[index])
          let leaf = unsafe isOrdered ? runs.shardOfRow[position] : 0
          if leaf != shard {
            unsafe sum.multiply(by: weight)
            if unsafe decay.weights != nil {
              let item = unsafe Int(input.items.index[position]) &* input.items.spacing
              unsafe sum.decay(decay.sum(order, leafStart, index), of: items + item)
              leafStart = index
            }
            if unsafe runs.blocks[Int(leaf)] == runs.blocks[Int(shard)] {
              unsafe stack.put(&sum, last: runs.shards[Int(shard)], next: runs.shards[Int(leaf)])
            } else {
              stack.finish(&sum)
              unsafe sum.store(to: target + written &* stride)
              note(written, segment, shard)
              written &+= 1
            }
            sum = Lanes()
            shard = leaf
          }
          let row = unsafe users + Int(userIndex[position]) &* userSpacing
          unsafe sum.add(SIMD8(repeating: scale[position]), times: row)
        }
        unsafe sum.multiply(by: weight)
        if unsafe decay.weights != nil {
          let item = unsafe Int(input.items.index[Int(order[start])]) &* input.items.spacing
          let pull = unsafe decay.sum(order, leafStart, Int(starts[segment &+ 1]))
          unsafe sum.decay(pull, of: items + item)
        }
        stack.finish(&sum)
        unsafe sum.store(to: target + written &* stride)
        note(written, segment, shard)
        written &+= 1
      }
      partials.count = written
    }

    @inline(__always)
    private func note(_ partial: Int, _ segment: Int, _ shard: UInt16) {
      unsafe partials.keys.pointer[partial] = unsafe segments.segmentKeys.pointer[segment]
      unsafe partials.blocks.pointer[partial] = unsafe input.runs.blocks[Int(shard)]
    }
  }
}
