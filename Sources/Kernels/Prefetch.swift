internal import CPrefetch

/// Rows ahead of which the next row is asked for: far enough to hide a trip to the last-level cache
/// behind the arithmetic of a few rows.
let prefetchDistance = 8

/// Asks for a row of `stride` floats that will be read soon, at most its first four cache lines; the
/// processor follows the rest by itself.
@inline(__always)
func prefetch(_ row: UnsafePointer<Float>, stride: Int) {
  for column in Swift.stride(from: 0, to: min(stride, 64), by: 16) {
    unsafe inverse_prefetch(row + column)
  }
}
