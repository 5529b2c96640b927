import Kernels

/// A gradient or score in `Double`, with the sum of the sizes of its terms, which rounding errors
/// are proportional to.
struct Reference {
  var value = 0.0
  var magnitude = 0.0

  mutating func add(_ term: Double) {
    value += term
    magnitude += abs(term)
  }

  /// Whether `result` is within `roundings` roundings of every term.
  func admits(_ result: Float, roundings: Int) -> Bool {
    // (1 + u)ⁿ − 1 < 1.01 n u for the few hundred roundings of a test.
    abs(Double(result) - value) <= 1.01 * Double(roundings) * roundoff * magnitude
  }
}

/// The formulas of `WeightedProduct` in `Double`, term by term.
extension Problem {
  func referenceScore(_ row: Int) -> Reference {
    var score = Reference()
    for column in 0..<layout.factors {
      score.add(
        Double(dense[column]) * Double(user(row, column)) * Double(item(row, column)))
    }
    if layout.hasBias {
      score.add(Double(user(row, layout.biasColumn)))
      score.add(Double(item(row, layout.biasColumn)))
    }
    score.add(Double(dense[layout.stride]))
    return score
  }

  /// `Σ_b δ · ∂score[b] / ∂parameter` over the rows that `include` admits.
  private func sum(_ include: (Int) -> Bool, _ derivative: (Int) -> Double) -> Reference {
    var sum = Reference()
    for row in 0..<rowCount where include(row) {
      sum.add(Double(scoreGradients[row]) * derivative(row))
    }
    return sum
  }

  func referenceUserGradient(_ key: UInt32, _ column: Int) -> Reference {
    sum({ userIndex[$0] == key }) {
      column == layout.biasColumn ? 1 : Double(dense[column]) * Double(item($0, column))
    }
  }

  func referenceItemGradient(_ key: UInt32, _ column: Int) -> Reference {
    sum({ itemIndex[$0] == key }) {
      column == layout.biasColumn ? 1 : Double(dense[column]) * Double(user($0, column))
    }
  }

  func referenceDenseGradient(shard: Int, _ column: Int) -> Reference {
    let rows = self.rows(of: shard)
    return sum({ rows.contains($0) }) {
      column == layout.stride ? 1 : Double(user($0, column)) * Double(item($0, column))
    }
  }
}

/// The documented order of operations, one scalar at a time.
extension Problem {
  func orderedScore(_ row: Int) -> Float {
    var lanes = [Float](repeating: 0, count: 8)
    for column in 0..<layout.biasColumn {
      lanes[column % 8].addProduct(dense[column] * user(row, column), item(row, column))
    }
    let four = (0..<4).map { lanes[$0] + lanes[$0 + 4] }
    let score = (four[0] + four[2]) + (four[1] + four[3]) + dense[layout.stride]
    guard layout.hasBias else { return score }
    return score + (user(row, layout.biasColumn) + item(row, layout.biasColumn))
  }

  /// `Σ δ · row`, fused, in row order; the bias column is `Σ δ`.
  private func chain(_ rows: [Int], _ value: (Int, Int) -> Float) -> [Float] {
    var sums = [Float](repeating: 0, count: layout.stride)
    for row in rows {
      for column in 0..<layout.biasColumn {
        sums[column].addProduct(scoreGradients[row], value(row, column))
      }
      if layout.hasBias { sums[layout.biasColumn] += scoreGradients[row] }
    }
    return sums
  }

  private func weighted(_ sums: [Float]) -> [Float] {
    sums.indices.map { $0 < layout.biasColumn ? sums[$0] * dense[$0] : sums[$0] }
  }

  func orderedUserGradient(_ key: UInt32) -> [Float] {
    weighted(chain((0..<rowCount).filter { userIndex[$0] == key }) { item($0, $1) })
  }

  func orderedDenseGradient(shard: Int) -> [Float] {
    var gradient = [Float](repeating: 0, count: WeightedProduct.denseCount(layout))
    for key in [UInt32(2 * shard), UInt32(2 * shard + 1)] {
      let rows = self.rows(of: shard).filter { userIndex[$0] == key }
      guard let first = rows.first else { continue }
      let sums = chain(rows) { item($0, $1) }
      for column in 0..<layout.biasColumn {
        gradient[column].addProduct(user(first, column), sums[column])
      }
      gradient[layout.stride] += rows.reduce(0) { $0 + scoreGradients[$1] }
    }
    return gradient
  }

  /// The gradient of an item over the rows of one shard; nil without rows.
  func itemLeaf(_ key: UInt32, shard: Int) -> [Float]? {
    let rows = self.rows(of: shard).filter { itemIndex[$0] == key }
    return rows.isEmpty ? nil : weighted(chain(rows) { user($0, $1) })
  }

  /// The gradient of an item along the tree over `shards`, by recursion; nil without rows.
  func treeItemGradient(_ key: UInt32, shards: Range<Int>) -> [Float]? {
    guard shards.count > 1 else { return itemLeaf(key, shard: shards.lowerBound) }
    let middle = shards.lowerBound + shards.count / 2
    let left = treeItemGradient(key, shards: shards.lowerBound..<middle)
    let right = treeItemGradient(key, shards: middle..<shards.upperBound)
    guard let left, let right else { return left ?? right }
    return zip(left, right).map { $0 + $1 }
  }

  /// The gradient of an item over all rows in row order, regardless of shards.
  func chainItemGradient(_ key: UInt32) -> [Float] {
    weighted(chain((0..<rowCount).filter { itemIndex[$0] == key }) { user($0, $1) })
  }
}
