import Backbones
import Kernels
import Sharding

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

  /// A multiple of 2⁻²³ in `[-1, 1)`.
  mutating func float() -> Float { Float(Int(word() >> 40) - (1 << 23)) * 0x1p-23 }
}

extension AlignedBuffer {
  convenience init(_ values: [Element]) {
    self.init(count: values.count)
    for (index, value) in values.enumerated() { unsafe pointer[index] = value }
  }

  /// A copy of the elements.
  var values: [Element] { withExtendedLifetime(self) { unsafe Array(elements) } }
}

extension RowLayout {
  /// Columns that hold a value and not padding.
  var valueColumns: [Int] { Array(0..<factors) + (hasBias ? [biasColumn] : []) }
}

extension RowTable {
  /// A copy of the rows that are held, `(held.count, stride)`.
  var values: [Float] { weights.values }
}
