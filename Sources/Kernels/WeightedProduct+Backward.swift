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

    package init(
      scoreGradients: UnsafePointer<Float>, users: Side, items: Side,
      dense: UnsafePointer<Float>, layout: RowLayout, runs: ShardRuns
    ) {
      unsafe self.scoreGradients = unsafe scoreGradients
      self.users = users
      self.items = items
      unsafe self.dense = unsafe dense
      self.layout = layout
      self.runs = runs
    }
  }

  /// Writes the gradient of every user row of the batch, and the dense gradient of every shard.
  ///
  ///     ∂/∂user = weight ⊙ Σ δ·item        ∂/∂weight = Σ_users user ⊙ Σ δ·item       ∂/∂bias = Σ δ
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
    switch input.layout.factorBlocks {
    case 1: unsafe backwardUsers(Fixed<Lanes8>.self, input, segments, gradients, denseGradients)
    case 2: unsafe backwardUsers(Fixed<Lanes16>.self, input, segments, gradients, denseGradients)
    case 4: unsafe backwardUsers(Fixed<Lanes32>.self, input, segments, gradients, denseGradients)
    case 8: unsafe backwardUsers(Fixed<Lanes64>.self, input, segments, gradients, denseGradients)
    case 16: unsafe backwardUsers(Fixed<Lanes128>.self, input, segments, gradients, denseGradients)
    default: unsafe backwardUsers(AnyWidth.self, input, segments, gradients, denseGradients)
    }
  }

  @inline(__always)
  private static func backwardUsers<Width: RowWidth>(
    _: Width.Type, _ input: BackwardInput, _ segments: SegmentSort,
    _ gradients: UnsafeMutablePointer<Float>, _ denseGradients: UnsafeMutablePointer<Float>
  ) {
    let layout = input.layout
    let (stride, blocks) = (layout.stride, layout.factorBlocks)
    let denseStride = denseCount(layout)
    unsafe denseGradients.update(repeating: 0, count: input.runs.count &* denseStride)
    let order = unsafe UnsafePointer(segments.order.pointer)
    var shard = 0
    for segment in 0..<segments.segmentCount {
      let start = unsafe Int(segments.segmentStarts.pointer[segment])
      let end = unsafe Int(segments.segmentStarts.pointer[segment &+ 1])
      while unsafe order[start] >= input.runs.starts[shard &+ 1] { shard &+= 1 }
      let gradient = unsafe gradients + segment &* stride
      unsafe Width.sum(
        order, start, end, input.scoreGradients, input.items, stride: stride, blocks: blocks,
        into: gradient)
      let user =
        unsafe input.users.base + Int(input.users.index[Int(order[start])]) &* stride
      let denseRow = unsafe denseGradients + shard &* denseStride
      for block in 0..<blocks {
        let column = block &* 8
        let sum = unsafe load8(gradient + column)
        unsafe store8(
          load8(denseRow + column).addingProduct(load8(user + column), sum), denseRow + column)
        unsafe store8(sum * load8(input.dense + column), gradient + column)
      }
      let total = unsafe biasGradient(order, start, end, input.scoreGradients)
      unsafe denseRow[stride] += total
      if layout.hasBias {
        unsafe store8(.zero, gradient + layout.biasColumn)
        unsafe gradient[layout.biasColumn] = total
      }
    }
  }

  /// Writes the partial sums of the gradients of every item row of the batch.
  ///
  ///     ∂/∂item = weight ⊙ Σ δ·user        one sum per item and block of shards
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
    switch input.layout.factorBlocks {
    case 1: backwardItems(Fixed<Lanes8>.self, input, segments, ordered, scratch, partials)
    case 2: backwardItems(Fixed<Lanes16>.self, input, segments, ordered, scratch, partials)
    case 4: backwardItems(Fixed<Lanes32>.self, input, segments, ordered, scratch, partials)
    case 8: backwardItems(Fixed<Lanes64>.self, input, segments, ordered, scratch, partials)
    case 16: backwardItems(Fixed<Lanes128>.self, input, segments, ordered, scratch, partials)
    default: backwardItems(AnyWidth.self, input, segments, ordered, scratch, partials)
    }
  }

  @inline(__always)
  private static func backwardItems<Width: RowWidth>(
    _: Width.Type, _ input: BackwardInput, _ segments: SegmentSort, _ ordered: Bool,
    _ scratch: TreeScratch, _ partials: PartialRows
  ) {
    let layout = input.layout
    let (stride, blocks, runs) = (layout.stride, layout.factorBlocks, input.runs)
    let order = unsafe UnsafePointer(segments.order.pointer)
    var stack = TreeStack(scratch: scratch)
    var written = 0
    for segment in 0..<segments.segmentCount {
      let end = unsafe Int(segments.segmentStarts.pointer[segment &+ 1])
      var start = unsafe Int(segments.segmentStarts.pointer[segment])
      var shard = 0
      var block = UInt32.max
      while start < end {
        var leafEnd = end
        if ordered {
          while unsafe order[start] >= runs.starts[shard &+ 1] { shard &+= 1 }
          leafEnd = start &+ 1
          let limit = unsafe runs.starts[shard &+ 1]
          while leafEnd < end, unsafe order[leafEnd] < limit { leafEnd &+= 1 }
        }
        if unsafe block != runs.blocks[shard] {
          if block != .max { unsafe finish(&stack, segments.segmentKeys.pointer[segment], block) }
          block = unsafe runs.blocks[shard]
        }
        unsafe stack.settle(before: runs.shards[shard])
        let leaf = unsafe stack.top
        unsafe Width.sum(
          order, start, leafEnd, input.scoreGradients, input.users, stride: stride,
          blocks: blocks, into: leaf)
        for block in 0..<blocks {
          let column = block &* 8
          unsafe store8(load8(leaf + column) * load8(input.dense + column), leaf + column)
        }
        if layout.hasBias {
          unsafe store8(.zero, leaf + layout.biasColumn)
          unsafe leaf[layout.biasColumn] = unsafe biasGradient(
            order, start, leafEnd, input.scoreGradients)
        }
        unsafe stack.push(shard: runs.shards[shard])
        start = leafEnd
      }
      unsafe finish(&stack, segments.segmentKeys.pointer[segment], block)
    }
    partials.count = written

    @inline(__always)
    func finish(_ stack: inout TreeStack, _ key: UInt32, _ block: UInt32) {
      unsafe stack.finish(into: partials.rows.pointer + written &* stride)
      unsafe partials.keys.pointer[written] = key
      unsafe partials.blocks.pointer[written] = block
      written &+= 1
    }
  }

  @inline(__always)
  private static func biasGradient(
    _ order: UnsafePointer<UInt32>, _ start: Int, _ end: Int, _ scale: UnsafePointer<Float>
  ) -> Float {
    var sum: Float = 0
    for index in start..<end { unsafe sum += scale[Int(order[index])] }
    return sum
  }
}
