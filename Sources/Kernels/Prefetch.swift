internal import CBuiltins

/// Rows ahead of which a row is asked for that is only read.
///
/// Rows are asked for up to the second-level cache. The first level has few places for lines under
/// way, which bound every walk over a table out of cache; the second has twice as many, and room for
/// what comes early. From there a row is near enough for the processor to wait for by itself.
/// docs/decisions/0012-step-engine.md has what was measured.
let prefetchDistance = 32

/// The first position of the segment that is ``prefetchDistance`` after `segment`, at most the last:
/// rows that are read once for each segment are asked for by it.
///
/// - Parameters:
///   - segment: The segment at hand.
///   - last: The last one.
///   - order: Positions by segment.
///   - starts: Where each segment starts there.
/// - Returns: The position.
@inline(__always)
func positionAhead(
  of segment: Int, last: Int, order: UnsafePointer<UInt32>, starts: UnsafePointer<UInt32>
) -> Int {
  unsafe Int(order[Int(starts[min(segment &+ prefetchDistance, last)])])
}

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
/// be asked for at once, and little beside the second-level cache.
@inline(__always)
func prefetchRows(bytes: Int) -> Int { min(max(16384 / bytes, 4), 48) }
