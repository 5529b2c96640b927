internal import CBuiltins
import Kernels

/// Reading and updating whole rows of a table in random order: what embedding tables ask of memory.
///
/// Rows ahead are prefetched, all their lines, and nothing but additions is done with them, so this
/// is the best a kernel over such rows can hope for.
package final class RandomRows {
  private let table: AlignedBuffer<Float>
  /// Distances worth trying: far enough to hide a trip to memory, near enough for the queue of
  /// misses to hold.
  package static let distances = [2, 4, 8, 16, 32]

  private let order: AlignedBuffer<UInt32>
  private let stride: Int
  /// Rows ahead of which a row is asked for.
  package var distance = distances[0]
  /// Keeps the sums from being optimised away.
  package private(set) var checksum: Float = 0

  /// - Parameters:
  ///   - rowBytes: A multiple of 32.
  ///   - tableBytes: At least one row.
  ///   - visits: Rows visited per call, drawn with replacement.
  package init(rowBytes: Int, tableBytes: Int, visits: Int) {
    precondition(rowBytes >= 32 && rowBytes.isMultiple(of: 32), "rows are whole registers")
    stride = rowBytes / 4
    let rows = max(1, tableBytes / rowBytes)
    table = AlignedBuffer(count: rows * stride)
    order = AlignedBuffer(count: visits)
    for index in 0..<table.count { unsafe table.pointer[index] = Float(index & 0xff) }
    var state: UInt64 = 1
    for visit in 0..<visits {
      // Knuth's multiplier; the high bits are the random ones.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let place = UInt64(rows).multipliedFullWidth(by: state).high
      unsafe order.pointer[visit] = UInt32(truncatingIfNeeded: place)
    }
  }

  /// Bytes read per call of ``read()``; ``update()`` reads and writes as many.
  package var bytes: Int { order.count * stride * 4 }

  /// Adds up all rows in the order of the visits.
  package func read() {
    var first = SIMD8<Float>.zero
    var second = SIMD8<Float>.zero
    let base = unsafe UnsafePointer(table.pointer)
    for visit in 0..<order.count {
      prefetch(visit &+ distance)
      let row = unsafe base + Int(order.pointer[visit]) &* stride
      var column = 0
      while column &+ 16 <= stride {
        unsafe first += load8(row + column)
        unsafe second += load8(row + column + 8)
        column &+= 16
      }
      if column < stride { unsafe first += load8(row + column) }
    }
    checksum += (first + second).sum()
  }

  /// Adds one to all values of all rows in the order of the visits.
  package func update() {
    let one = SIMD8<Float>(repeating: 1)
    for visit in 0..<order.count {
      prefetch(visit &+ distance)
      let row = unsafe table.pointer + Int(order.pointer[visit]) &* stride
      for column in Swift.stride(from: 0, to: stride, by: 8) {
        unsafe store8(load8(row + column) + one, row + column)
      }
    }
  }

  @inline(__always)
  private func prefetch(_ visit: Int) {
    guard visit < order.count else { return }
    let row = unsafe table.pointer + Int(order.pointer[visit]) &* stride
    for column in Swift.stride(from: 0, to: stride, by: 16) {
      unsafe inverse_prefetch(row + column)
    }
  }
}
