/// A vector of a width fixed at compile time that stays in registers: 8, 16, 32, 64 or 128 floats.
///
/// All lanes are computed alike, so wide and narrow blocks give the same bits.
protocol LaneBlock {
  /// All zero.
  init()
  /// Adds `scale · row`, fused.
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>)
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

/// The sum of 8 lanes, in a fixed order: halves, quarters, pairs.
@inline(__always)
func horizontalSum(_ value: SIMD8<Float>) -> Float {
  let four = value.lowHalf + value.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}

/// 8 floats: one 256-bit register.
struct Lanes8: LaneBlock {
  private var value: SIMD8<Float> = .zero

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>) {
    value = unsafe value.addingProduct(scale, load8(row))
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
  mutating func add(_ scale: SIMD8<Float>, times row: UnsafePointer<Float>) {
    unsafe low.add(scale, times: row)
    unsafe high.add(scale, times: row + Half.width)
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
