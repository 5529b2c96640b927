/// Slow and obvious versions of what the modules compute, to compare with.
package enum Reference {
  /// `shardCount` vectors of `width` numbers whose sums depend on the order of addition: both
  /// signs, over 40 binary orders of magnitude.
  package static func leaves(shardCount: Int, width: Int, seed: UInt64 = 1) -> [Double] {
    var state = seed
    return (0..<shardCount * width).map { _ in
      // A linear congruential generator (Knuth's MMIX constants) is random enough for this.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let mantissa = Double(Int64(bitPattern: state) >> 11)
      return mantissa * Double(sign: .plus, exponent: -Int(state >> 33 % 41), significand: 1)
    }
  }

  /// The sum of the vectors of `shards`: that of the left half plus that of the right half.
  package static func treeSum(
    _ leaves: [Double], width: Int, _ shards: Range<Int>
  ) -> [Double] {
    if shards.count == 1 {
      return Array(leaves[shards.lowerBound * width..<shards.upperBound * width])
    }
    let middle = shards.lowerBound + shards.count / 2
    let left = treeSum(leaves, width: width, shards.lowerBound..<middle)
    let right = treeSum(leaves, width: width, middle..<shards.upperBound)
    return zip(left, right).map { $0 + $1 }
  }
}
