import Kernels

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

  /// A multiple of 2⁻²³ in `[-1, 1)`, so that adding ½ is exact.
  mutating func float() -> Float { Float(Int(word() >> 40) - (1 << 23)) * 0x1p-23 }

  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }
}

extension AlignedBuffer {
  convenience init(_ values: [Element]) {
    self.init(count: values.count)
    for (index, value) in values.enumerated() { unsafe pointer[index] = value }
  }

  /// A copy of the first `count` elements.
  func prefix(_ count: Int) -> [Element] {
    withExtendedLifetime(self) { unsafe Array(elements.prefix(count)) }
  }

  var values: [Element] { prefix(count) }
}

extension [Float] {
  /// What must be equal when results are promised to the last bit.
  var bits: [UInt32] { map(\.bitPattern) }
}

extension RowLayout {
  /// Columns that hold a value and not padding.
  var valueColumns: [Int] { Array(0..<factors) + (hasBias ? [biasColumn] : []) }

  /// `count` rows of test values, padding zero.
  func rows(_ count: Int, _ draws: inout Draws) -> [Float] {
    var rows = [Float](repeating: 0, count: count * stride)
    for row in 0..<count {
      for column in valueColumns { rows[row * stride + column] = draws.float() }
    }
    return rows
  }
}
