internal import CBuiltins

/// Rows ahead of which the next row is asked for: far enough to hide a trip to the last-level cache
/// behind the arithmetic of a few rows.
let prefetchDistance = 32

/// Asks for `width` floats that will be read soon, at most the first four cache lines of them; the
/// processor follows the rest by itself.
@inline(__always)
func prefetch(_ row: UnsafePointer<Float>, width: Int) {
  for column in stride(from: 0, to: min(width, 64), by: 16) {
    unsafe inverse_prefetch(row + column)
  }
}

/// Asks for all cache lines of `width` floats that will be read soon.
@inline(__always)
func prefetchAll(_ row: UnsafePointer<Float>, width: Int) {
  for column in stride(from: 0, to: width, by: 16) { unsafe inverse_prefetch(row + column) }
  // The end of a row that does not start with a line.
  if width & 15 != 0 { unsafe inverse_prefetch(row + (width - 1)) }
}

/// Rows ahead of which to ask for all of a row, of which `bytes` are touched: as much as memory can
/// be asked for at once, and not so much that it leaves the first-level cache again.
@inline(__always)
func prefetchRows(bytes: Int) -> Int { min(max(16384 / bytes, 4), 48) }
