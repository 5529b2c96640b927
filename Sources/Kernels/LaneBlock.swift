internal import CBuiltins

/// A vector of a width fixed at compile time that stays in registers: 8, 16, 32, 64 or 128 floats.
///
/// All lanes are computed alike, so wide and narrow blocks give the same bits.
protocol LaneBlock {
  /// All zero.
  init()
  /// A copy of `row`.
  init(_ row: UnsafePointer<Float>)
  /// Adds `scale · row`, fused.
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>)
  /// Adds `weight · row`, fused; of a bias, too.
  mutating func decay(_ weight: Float, of row: UnsafePointer<Float>)
  /// Becomes `row + self`.
  mutating func add(_ row: UnsafePointer<Float>)
  /// Becomes `self ⊙ row`.
  mutating func multiply(by row: UnsafePointer<Float>)
  /// Becomes `factor · self`.
  mutating func scale(by factor: SIMD8<Float>)
  /// Adds `self ⊙ row` to `target`, fused.
  func add(times row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>)
  func store(to row: UnsafeMutablePointer<Float>)
  /// Adds `weight ⊙ user ⊙ item` to 8 running sums, block after block, fused.
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    adding sums: SIMD8<Float>
  ) -> SIMD8<Float>
  /// Floats in the block.
  static var width: Int { get }
}

@inline(__always)
func load8(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
  unsafe UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
}

@inline(__always)
func store8(_ value: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>) {
  unsafe UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: SIMD8<Float>.self)
}

/// The square root of each lane, correctly rounded.
@inline(__always)
func squareRoot(_ value: SIMD8<Float>) -> SIMD8<Float> {
  #if arch(x86_64)
    inverse_square_root(value)
  #else
    value.squareRoot()
  #endif
}

/// Lane `j` of `kept` where bit `j` of `bits` is set, else of `other`.
@inline(__always)
func select(_ bits: UInt8, _ kept: SIMD8<Float>, _ other: SIMD8<Float>) -> SIMD8<Float> {
  #if arch(x86_64)
    inverse_select(UInt32(bits), kept, other)
  #else
    let bit = SIMD8<UInt32>(1, 2, 4, 8, 16, 32, 64, 128)
    return other.replacing(with: kept, where: (SIMD8(repeating: UInt32(bits)) & bit) .!= 0)
  #endif
}

/// Bit `j` is set where word `j` of the eight at `words` is at least `bound`.
@inline(__always)
func bits(of words: UnsafePointer<UInt32>, atLeast bound: UInt32) -> UInt8 {
  #if arch(x86_64)
    unsafe UInt8(truncatingIfNeeded: inverse_at_least(words, bound))
  #else
    var kept: UInt8 = 0
    for bit in 0..<8 { kept |= unsafe words[bit] >= bound ? 1 &<< UInt8(bit) : 0 }
    return kept
  #endif
}

/// The sum of 8 lanes, in a fixed order: halves, quarters, pairs.
@inline(__always)
func horizontalSum(_ lanes: SIMD8<Float>) -> Float {
  #if arch(x86_64)
    let value = inverse_whole(lanes)
  #else
    let value = lanes
  #endif
  let four = value.lowHalf + value.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}

extension LaneBlock {
  @inline(__always)
  mutating func decay(_ weight: Float, of row: UnsafePointer<Float>) {
    unsafe add(SIMD8(repeating: weight), times: row)
  }
}

/// 8 floats: one 256-bit register.
struct Lanes8: LaneBlock {
  private var value: SIMD8<Float> = .zero

  @inline(__always) init() {}

  @inline(__always) init(_ row: UnsafePointer<Float>) { value = unsafe load8(row) }

  @inline(__always)
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>) {
    value = unsafe value.addingProduct(scale, load8(row))
  }

  @inline(__always)
  mutating func add(_ row: UnsafePointer<Float>) { value = unsafe load8(row) + value }

  @inline(__always)
  mutating func multiply(by row: UnsafePointer<Float>) { value = unsafe value * load8(row) }

  @inline(__always)
  mutating func scale(by factor: SIMD8<Float>) { value *= factor }

  @inline(__always)
  func add(times row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
    unsafe store8(load8(target).addingProduct(load8(row), value), target)
  }

  @inline(__always)
  func store(to row: UnsafeMutablePointer<Float>) { unsafe store8(value, row) }

  @inline(__always)
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    adding sums: SIMD8<Float>
  ) -> SIMD8<Float> {
    unsafe sums.addingProduct(load8(weight) * load8(user), load8(item))
  }

  @inline(__always) static var width: Int { 8 }
}

/// Two blocks side by side.
struct Pair<Half: LaneBlock>: LaneBlock {
  private var low = Half()
  private var high = Half()

  @inline(__always) init() {}

  @inline(__always)
  init(_ row: UnsafePointer<Float>) {
    low = unsafe Half(row)
    high = unsafe Half(row + Half.width)
  }

  @inline(__always)
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>) {
    unsafe low.add(scale, times: row)
    unsafe high.add(scale, times: row + Half.width)
  }

  @inline(__always)
  mutating func add(_ row: UnsafePointer<Float>) {
    unsafe low.add(row)
    unsafe high.add(row + Half.width)
  }

  @inline(__always)
  mutating func multiply(by row: UnsafePointer<Float>) {
    unsafe low.multiply(by: row)
    unsafe high.multiply(by: row + Half.width)
  }

  @inline(__always)
  mutating func scale(by factor: SIMD8<Float>) {
    low.scale(by: factor)
    high.scale(by: factor)
  }

  @inline(__always)
  func add(times row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
    unsafe low.add(times: row, to: target)
    unsafe high.add(times: row + Half.width, to: target + Half.width)
  }

  @inline(__always)
  func store(to row: UnsafeMutablePointer<Float>) {
    unsafe low.store(to: row)
    unsafe high.store(to: row + Half.width)
  }

  @inline(__always)
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    adding sums: SIMD8<Float>
  ) -> SIMD8<Float> {
    let first = unsafe Half.dot(weight, user, item, adding: sums)
    return unsafe Half.dot(weight + Half.width, user + Half.width, item + Half.width, adding: first)
  }

  @inline(__always) static var width: Int { 2 * Half.width }
}

typealias Lanes16 = Pair<Lanes8>
typealias Lanes32 = Pair<Lanes16>
typealias Lanes64 = Pair<Lanes32>
typealias Lanes128 = Pair<Lanes64>

/// The bias of a row as a block of its own: its sums are those of the scales alone.
struct BiasLane: LaneBlock {
  private var value: Float = 0

  @inline(__always) init() {}

  @inline(__always) init(_ row: UnsafePointer<Float>) { value = unsafe row[0] }

  @inline(__always)
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>) { value += scale[0] }

  @inline(__always)
  mutating func decay(_ weight: Float, of row: UnsafePointer<Float>) {
    value = unsafe value.addingProduct(weight, row[0])
  }

  @inline(__always)
  mutating func add(_ row: UnsafePointer<Float>) { value = unsafe row[0] + value }

  @inline(__always)
  mutating func multiply(by row: UnsafePointer<Float>) {}

  @inline(__always)
  mutating func scale(by factor: SIMD8<Float>) { value *= factor[0] }

  @inline(__always)
  func add(times row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
    unsafe target[0] += value
  }

  @inline(__always)
  func store(to row: UnsafeMutablePointer<Float>) {
    unsafe store8(.zero, row)
    unsafe row[0] = value
  }

  @inline(__always)
  static func dot(
    _ weight: UnsafePointer<Float>, _ user: UnsafePointer<Float>, _ item: UnsafePointer<Float>,
    adding sums: SIMD8<Float>
  ) -> SIMD8<Float> {
    sums
  }

  @inline(__always) static var width: Int { 8 }
}

/// What can be done to rows in groups of columns, each with as many registers as there are.
protocol ColumnKernel {
  /// Treats the columns `column ..< column + Lanes.width` of all rows.
  func run<Lanes: LaneBlock>(_: Lanes.Type, column: Int)
}

extension ColumnKernel {
  /// Treats `blocks` blocks of 8 columns: the widest groups first.
  ///
  /// All lanes are computed alike, so how columns are grouped does not show in the bits.
  @inline(__always)
  func run(blocks: Int) {
    var column = 0
    for _ in 0..<blocks / 16 {
      run(Lanes128.self, column: column)
      column &+= 128
    }
    if blocks & 8 != 0 {
      run(Lanes64.self, column: column)
      column &+= 64
    }
    if blocks & 4 != 0 {
      run(Lanes32.self, column: column)
      column &+= 32
    }
    if blocks & 2 != 0 {
      run(Lanes16.self, column: column)
      column &+= 16
    }
    if blocks & 1 != 0 { run(Lanes8.self, column: column) }
  }
}
