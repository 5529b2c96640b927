import Kernels
import Sharding

/// The parameters that a virtual step moves, as they were before it.
///
/// Kept where steps that come to nothing are left out; a step that is committed twice, the virtual
/// one and the optimizer's, may fail in between.
final class ParameterCopies {
  private let model: Model
  private let users = ScratchBuffer<Float>()
  private let items = ScratchBuffer<Float>()
  private let dense: AlignedBuffer<Float>

  init(model: Model) {
    self.model = model
    dense = AlignedBuffer(count: model.dense.stride)
  }

  /// Keeps some rows.
  ///
  /// - Parameters:
  ///   - userRows: Rows of this rank's users.
  ///   - itemRows: Lists of item rows that are held.
  func keep(users userRows: KeyedRows, items itemRows: [KeyedRows]) {
    unsafe model.users.gather(
      index: userRows.keys, count: userRows.count,
      into: users.reserve(userRows.count * model.users.stride))
    let stride = model.items.stride
    let target = unsafe items.reserve(itemRows.reduce(0) { $0 + $1.count } * stride)
    var start = 0
    for rows in itemRows {
      unsafe model.items.gather(
        index: rows.keys, count: rows.count, into: target + start * stride)
      start += rows.count
    }
    unsafe dense.pointer.update(from: model.dense.weights.pointer, count: dense.count)
  }

  /// Puts back what was kept, to the bit; the arguments are those of ``keep(users:items:)``.
  func restore(users userRows: KeyedRows, items itemRows: [KeyedRows]) {
    unsafe model.users.replace(index: userRows.keys, count: userRows.count, with: users.pointer)
    var start = 0
    for rows in itemRows {
      unsafe model.items.replace(
        index: rows.keys, count: rows.count, with: items.pointer + start * model.items.stride)
      start += rows.count
    }
    unsafe model.dense.weights.pointer.update(from: dense.pointer, count: dense.count)
    model.noteChange()
  }
}
