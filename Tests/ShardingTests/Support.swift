import Fabric
import Kernels
import Sharding

/// `S` of all tests here.
let shardCount = 16

/// Powers of two, and numbers whose ranks own several blocks of shards.
let rankCounts = [1, 2, 3, 4, 5, 7, 8]

/// The unit roundoff of `Float`: the largest relative error of one correctly rounded operation.
let roundoff = 0x1p-24

/// Reproducible test values (SplitMix64).
struct Draws {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A whole number in `0 ..< bound`.
  mutating func integer(below bound: Int) -> Int {
    Int(word().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Either sign, over 20 binary orders of magnitude, so that sums depend on their order.
  mutating func float() -> Float {
    let mantissa = Float(Int(word() >> 40) - (1 << 23)) * 0x1p-23
    return mantissa * Float(sign: .plus, exponent: -integer(below: 20), significand: 1)
  }

  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }
}

extension AlignedBuffer {
  convenience init(_ values: [Element]) {
    self.init(count: values.count)
    for (index, value) in values.enumerated() { unsafe pointer[index] = value }
  }

  /// A copy of the elements.
  var values: [Element] { withExtendedLifetime(self) { unsafe Array(elements) } }
}

extension [Float] {
  /// What must be equal when results are promised to the last bit.
  var bits: [UInt32] { map(\.bitPattern) }
}

/// Rows with their numbers, copied.
struct RowList: Equatable, Sendable {
  var keys: [UInt32] = []
  var rows: [Float] = []

  init() {}

  init(_ rows: KeyedRows, stride: Int) {
    keys = (0..<rows.count).map { unsafe rows.keys[$0] }
    self.rows = (0..<rows.count * stride).map { unsafe rows.rows[$0] }
  }

  /// The rows of all ranks, one after another.
  static func joined(_ lists: [RowList]) -> RowList {
    var all = RowList()
    for list in lists {
      all.keys += list.keys
      all.rows += list.rows
    }
    return all
  }
}

/// Gradient rows that every shard has for some items.
///
/// Of 23 items, spread unevenly: some shards own none, so some ranks do not either. Some shards
/// have no gradients; item 7 has none from anywhere.
struct GradientProblem: Sendable {
  static let itemStarts = [0, 3, 3, 4, 9, 9, 9, 9, 12, 13, 13, 17, 17, 17, 20, 22, 23]
  static let itemCount = 23
  static let untouched: UInt32 = 7
  static let partialCapacity = itemCount * shardCount

  let stride: Int
  /// For each shard its rows, by item.
  let leaves: [[UInt32: [Float]]]

  init(stride: Int, seed: UInt64, density: Int = 2, absent: ClosedRange<Int> = 4...5) {
    var draws = Draws(seed: seed)
    self.stride = stride
    leaves = (0..<shardCount).map { shard in
      var rows: [UInt32: [Float]] = [:]
      for item in 0..<UInt32(Self.itemCount) where item != Self.untouched && !(absent ~= shard) {
        if draws.integer(below: density) == 0 { rows[item] = draws.floats(stride) }
      }
      return rows
    }
  }

  /// The sum of an item's rows over some shards along the tree; `nil` without rows.
  func treeSum(_ item: UInt32, _ shards: Range<Int>) -> [Float]? {
    guard shards.count > 1 else { return leaves[shards.lowerBound][item] }
    let middle = shards.lowerBound + shards.count / 2
    let left = treeSum(item, shards.lowerBound..<middle)
    let right = treeSum(item, middle..<shards.upperBound)
    guard let left, let right else { return left ?? right }
    return zip(left, right).map { $0 + $1 }
  }

  /// The sums over all shards.
  var expected: RowList {
    var list = RowList()
    for item in 0..<UInt32(Self.itemCount) {
      guard let sum = treeSum(item, 0..<shardCount) else { continue }
      list.keys.append(item)
      list.rows += sum
    }
    return list
  }

  /// What a rank sends: one partial sum for each item and block of its shards.
  func partials(of rank: Int, _ tree: ShardTree) -> PartialRows {
    let partials = PartialRows(capacity: Self.partialCapacity, stride: stride)
    write(partials, of: rank, tree)
    return partials
  }

  /// Overwrites `partials` with what a rank sends.
  func write(_ partials: PartialRows, of rank: Int, _ tree: ShardTree) {
    partials.count = 0
    for item in 0..<UInt32(Self.itemCount) {
      for block in tree.blocks(of: rank) {
        guard let sum = treeSum(item, block) else { continue }
        unsafe partials.keys.pointer[partials.count] = item
        unsafe partials.blocks.pointer[partials.count] = UInt32(block.lowerBound)
        for column in 0..<stride {
          unsafe partials.rows.pointer[partials.count * stride + column] = sum[column]
        }
        partials.count += 1
      }
    }
  }

  static func ownership(_ tree: ShardTree) -> RowOwnership {
    RowOwnership(shardStarts: itemStarts, tree: tree)
  }

  static func exchange(
    _ group: any ProcessGroup, _ tree: ShardTree, stride: Int, ordered: Bool = true
  ) -> MessageExchange {
    MessageExchange(
      group: group, ownership: ownership(tree), stride: stride, shardCount: shardCount,
      ordered: ordered)
  }
}
