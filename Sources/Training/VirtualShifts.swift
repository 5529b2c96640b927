import Backbones
import Kernels
import Sharding

/// Where the rows of a labeled batch find how far the virtual step moves them.
///
/// Safe to use: the places are rows of the arguments of ``find(for:userShifts:itemShifts:fetched:)``
/// or a row of zeros that this object owns.
@safe
final class VirtualShifts {
  private let model: Model
  private let zeros: AlignedBuffer<Float>
  private let userPlaces: AlignedBuffer<UnsafePointer<Float>>
  private let itemPlaces: AlignedBuffer<UnsafePointer<Float>>
  private let referencePlaces: AlignedBuffer<UnsafePointer<Float>>

  /// Room for batches of `capacity` rows and `references` item references.
  init(capacity: Int, references: Int, model: Model) {
    self.model = model
    zeros = AlignedBuffer(count: max(model.users.stride, model.items.stride))
    unsafe userPlaces = AlignedBuffer(count: capacity)
    unsafe itemPlaces = AlignedBuffer(count: references)
    unsafe referencePlaces = AlignedBuffer(count: references)
  }

  /// Finds the shift of everything the batch reads.
  ///
  /// - Parameters:
  ///   - pass: The labeled batch, sorted.
  ///   - unlabeled: Holds the shifts of user rows and dense parameters.
  ///   - itemShifts: Of all item rows that move, ascending.
  ///   - fetched: `(item rows of the batch, stride)` in place of `itemShifts`.
  /// - Returns: The places; valid until the next call, and as long as the arguments are.
  func find(
    for pass: BatchPass, userShifts unlabeled: BatchPass, itemShifts: [KeyedRows],
    fetched: UnsafePointer<Float>?
  ) -> BatchShifts {
    let zero = unsafe UnsafePointer(zeros.pointer)
    unsafe userPlaces.pointer.update(repeating: zero, count: pass.userKeyCount)
    unsafe RowShift.find(
      keys: pass.userKeys, count: pass.userKeyCount, in: unlabeled.userSums.keys,
      knownCount: unlabeled.userSums.count, rows: unlabeled.userSums.rows,
      stride: model.users.stride, places: userPlaces.pointer)
    let stride = model.items.stride
    if let fetched = unsafe fetched {
      for row in 0..<pass.itemKeyCount {
        unsafe itemPlaces.pointer[row] = unsafe fetched + row * stride
      }
    } else {
      unsafe itemPlaces.pointer.update(repeating: zero, count: pass.itemKeyCount)
      var next = 0
      for list in itemShifts {
        next = unsafe RowShift.find(
          keys: pass.itemKeys, count: pass.itemKeyCount, in: list.keys, knownCount: list.count,
          rows: list.rows, stride: stride, places: itemPlaces.pointer, from: next)
      }
    }
    unsafe pass.gradients.itemSegments.spread(itemPlaces.pointer, into: referencePlaces.pointer)
    return unsafe BatchShifts(
      users: userPlaces.pointer, items: referencePlaces.pointer,
      dense: unlabeled.reduction.sum)
  }
}
