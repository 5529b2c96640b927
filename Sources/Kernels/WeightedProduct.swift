/// The score of generalised matrix factorisation (GMF) and its gradients.
///
///     score[b] = Σ_f weight[f] · user[b, f] · item[b, f]  (+ userBias[b] + itemBias[b])  + bias
///
/// He et al., *Neural Collaborative Filtering*, WWW 2017, section 3.2. `B` rows of a batch, `F`
/// factors, padded as in ``RowLayout``. The dense parameters are one row of `stride + 8` floats:
/// `weight` padded like an item row, and in the first lane of the last block `bias`.
///
/// Gradients are not formed per batch row: a user's gradient is `weight ⊙ Σ δ·item` over its rows,
/// so each table row is visited once, with the sum in registers.
package enum WeightedProduct {
  /// One side of the batch: rows of a table, or a compact copy of some of them.
  @safe
  package struct Side {
    /// Row `r` starts at `base + r · spacing`.
    package let base: UnsafePointer<Float>
    /// Floats from one row to the next, at least the layout's stride.
    package let spacing: Int
    /// `(B)`: the row of each batch row.
    package let index: UnsafePointer<UInt32>

    package init(base: UnsafePointer<Float>, spacing: Int, index: UnsafePointer<UInt32>) {
      unsafe self.base = unsafe base
      self.spacing = spacing
      unsafe self.index = unsafe index
    }

    /// The rows as a matrix, whose columns are those of a row.
    package var table: Matrix { unsafe Matrix(base, stride: spacing) }
  }

  /// Floats of the dense parameters for rows of this layout.
  package static func denseCount(_ layout: RowLayout) -> Int { layout.stride + RowLayout.lanes }

  /// Writes one score per row of the batch.
  ///
  /// - Parameters:
  ///   - scores: `(B)`, overwritten.
  ///   - count: `B`.
  ///   - users: Rows of the user table.
  ///   - items: Rows of the item table.
  ///   - dense: `(stride + 8)`.
  ///   - layout: The layout of all rows.
  /// - Complexity: O(B · F); no allocation, no communication.
  package static func forward(
    into scores: UnsafeMutablePointer<Float>, count: Int, users: Side, items: Side,
    dense: UnsafePointer<Float>, layout: RowLayout
  ) {
    switch layout.factorBlocks {
    case 1: unsafe forward(Fixed<Lanes8>.self, scores, count, users, items, dense, layout)
    case 2: unsafe forward(Fixed<Lanes16>.self, scores, count, users, items, dense, layout)
    case 4: unsafe forward(Fixed<Lanes32>.self, scores, count, users, items, dense, layout)
    case 8: unsafe forward(Fixed<Lanes64>.self, scores, count, users, items, dense, layout)
    case 16: unsafe forward(Fixed<Lanes128>.self, scores, count, users, items, dense, layout)
    default: unsafe forward(AnyWidth.self, scores, count, users, items, dense, layout)
    }
  }

  @inline(__always)
  private static func forward<Width: RowWidth>(
    _: Width.Type, _ scores: UnsafeMutablePointer<Float>, _ count: Int, _ users: Side,
    _ items: Side, _ dense: UnsafePointer<Float>, _ layout: RowLayout
  ) {
    let (stride, blocks, biasColumn) = (layout.stride, layout.factorBlocks, layout.biasColumn)
    let bias = unsafe dense[stride]
    for row in 0..<count {
      let next = row &+ prefetchDistance
      if next < count {
        unsafe prefetch(users.base + Int(users.index[next]) &* users.spacing, width: stride)
        unsafe prefetch(items.base + Int(items.index[next]) &* items.spacing, width: stride)
      }
      let user = unsafe users.base + Int(users.index[row]) &* users.spacing
      let item = unsafe items.base + Int(items.index[row]) &* items.spacing
      var score = unsafe horizontalSum(Width.dot(dense, user, item, blocks: blocks)) + bias
      if layout.hasBias { unsafe score += user[biasColumn] + item[biasColumn] }
      unsafe scores[row] = score
    }
  }
}

/// A way to run over the factors of a row: in registers for a width known to the compiler, or
/// block by block. Both give the same bits.
protocol RowWidth {
  /// Eight running sums of `weight ⊙ user ⊙ item`.
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    blocks: Int
  ) -> SIMD8<Float>
}

enum Fixed<Lanes: LaneBlock>: RowWidth {
  @inline(__always)
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    blocks: Int
  ) -> SIMD8<Float> {
    unsafe Lanes.dot(weight, user, item, adding: .zero)
  }
}

enum AnyWidth: RowWidth {
  @inline(__always)
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    blocks: Int
  ) -> SIMD8<Float> {
    var sums = SIMD8<Float>.zero
    for block in 0..<blocks {
      let column = block &* 8
      sums = unsafe Lanes8.dot(weight + column, user + column, item + column, adding: sums)
    }
    return sums
  }
}
