import Fabric
import Kernels

/// One rank's part of the memory of a ``SharedExchange``.
///
///     starts (Int64, P + 1) │ sum count (Int64) │ keys, blocks (UInt32, partials)
///     │ sum keys (UInt32, sums) │ rows (Float, partials · stride) │ sum rows (Float, sums · stride)
///     │ messages of owners elsewhere
@safe
struct Mailbox {
  /// How long its arrays are, which its neighbours know too.
  struct Shape {
    let ranks: Int
    let partials: Int
    let sums: Int
    let stride: Int
    /// Bytes of all messages.
    let messages: Int

    private static func padded(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }

    var keys: Int { Self.padded(8 * (ranks + 2)) }
    var blocks: Int { keys + Self.padded(4 * partials) }
    var sumKeys: Int { blocks + Self.padded(4 * partials) }
    var rows: Int { sumKeys + Self.padded(4 * sums) }
    var sumRows: Int { rows + Self.padded(4 * stride * partials) }
    var inbox: Int { sumRows + Self.padded(4 * stride * sums) }
    var byteCount: Int { inbox + messages }
  }

  /// `(P + 1)`: where the partial sums for each owner start, and their end.
  let starts: AlignedBuffer<Int64>
  /// `(1)`.
  let sumCount: AlignedBuffer<Int64>
  let partials: PartialRows
  let sumKeys: AlignedBuffer<UInt32>
  let sumRows: AlignedBuffer<Float>
  /// Where messages of owners elsewhere land.
  let inbox: UnsafeMutableRawBufferPointer

  init(_ part: UnsafeMutableRawBufferPointer, _ shape: Shape, owner: AnyObject) {
    guard let base = part.baseAddress else {
      preconditionFailure("shared memory has an address")
    }
    func view<Element: BitwiseCopyable>(_ offset: Int, _ count: Int) -> AlignedBuffer<Element> {
      unsafe AlignedBuffer(viewing: base + offset, count: count, owner: owner)
    }
    let stride = shape.stride
    starts = view(0, shape.ranks + 1)
    sumCount = view(8 * (shape.ranks + 1), 1)
    partials = PartialRows(
      keys: view(shape.keys, shape.partials), blocks: view(shape.blocks, shape.partials),
      rows: view(shape.rows, shape.partials * stride), stride: stride)
    sumKeys = view(shape.sumKeys, shape.sums)
    sumRows = view(shape.sumRows, shape.sums * stride)
    unsafe inbox = UnsafeMutableRawBufferPointer(
      start: base + shape.inbox, count: shape.messages)
  }

  /// The partial sums of rows that `rank` owns.
  func partials(for rank: Int) -> PartialList {
    let (start, end) = unsafe (Int(starts.pointer[rank]), Int(starts.pointer[rank + 1]))
    return unsafe PartialList(
      keys: partials.keys.pointer + start, blocks: partials.blocks.pointer + start,
      rows: partials.rows.pointer + start * partials.stride, count: end - start)
  }

  /// The complete sums of the rows its rank owns.
  var sums: KeyedRows {
    unsafe KeyedRows(
      keys: sumKeys.pointer, rows: sumRows.pointer, count: Int(sumCount.pointer[0]))
  }
}
