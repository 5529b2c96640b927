internal import CBuiltins

/// Rows ahead of which the next row is asked for: far enough to hide a trip to the last-level cache
/// behind the arithmetic of a few rows.
let prefetchDistance = 8

/// Asks for `width` floats that will be read soon, at most the first four cache lines of them; the
/// processor follows the rest by itself.
@inline(__always)
func prefetch(_ row: UnsafePointer<Float>, width: Int) {
  for column in stride(from: 0, to: min(width, 64), by: 16) {
    unsafe inverse_prefetch(row + column)
  }
}
