import Kernels
import Sharding

/// The parameters of this rank as they were before a virtual step, for backbones that propagate:
/// there a virtual step moves every row, and its candidates are whole tables.
final class TableCandidates {
  private let model: Model
  private let users: AlignedBuffer<Float>
  private let items: AlignedBuffer<Float>
  private let dense: AlignedBuffer<Float>

  init(model: Model) {
    self.model = model
    users = AlignedBuffer(count: model.users.owned.count * model.users.stride)
    items = AlignedBuffer(count: model.items.owned.count * model.items.stride)
    dense = AlignedBuffer(count: model.dense.stride)
  }

  /// Keeps the parameters of this rank.
  ///
  /// - Complexity: O(parameters of the rank).
  func save() {
    unsafe users.pointer.update(from: model.users.weights.pointer, count: users.count)
    unsafe items.pointer.update(
      from: model.items.row(model.items.owned.lowerBound), count: items.count)
    unsafe dense.pointer.update(from: model.dense.weights.pointer, count: dense.count)
  }

  /// Puts back what was kept, to the bit.
  func restore() {
    unsafe model.users.weights.pointer.update(from: users.pointer, count: users.count)
    unsafe model.items.row(model.items.owned.lowerBound).update(
      from: items.pointer, count: items.count)
    unsafe model.dense.weights.pointer.update(from: dense.pointer, count: dense.count)
    model.noteChange()
  }
}
