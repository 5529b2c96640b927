/// A copy of this rank's rows of some tensors, to be saved while the originals change.
///
/// Safe to share as long as nobody reads it during ``update(from:)``; freed with this object.
@safe
package final class SlabCopy: Sendable {
  private nonisolated(unsafe) let memory: UnsafeMutableRawPointer
  /// The copies; valid as long as this object lives.
  package nonisolated(unsafe) let slabs: [TensorSlab]

  /// Copies the rows, one after the other.
  ///
  /// - Complexity: O(``byteCount(of:)``) time and memory.
  package init(_ originals: [TensorSlab]) {
    // A multiple of any element's alignment between the tensors.
    let sizes = originals.map { ($0.rows.count * $0.rowSize + 63) / 64 * 64 }
    unsafe memory = .allocate(byteCount: max(64, sizes.reduce(0, +)), alignment: 64)
    var target = unsafe memory
    var slabs: [TensorSlab] = []
    for (slab, size) in zip(originals, sizes) {
      unsafe slabs.append(slab.copied(to: target))
      unsafe target += size
    }
    unsafe self.slabs = slabs
  }

  /// Copies the rows again.
  ///
  /// - Parameter originals: Of the same tensors and rows.
  package func update(from originals: [TensorSlab]) {
    unsafe precondition(originals.count == slabs.count, "a copy is of the same tensors")
    for (slab, copy) in unsafe zip(originals, slabs) {
      precondition(slab.rows == copy.rows && slab.rowSize == copy.rowSize, "and the same rows")
      slab.copyRows(to: copy)
    }
  }

  deinit { unsafe memory.deallocate() }

  /// The bytes that a copy takes, but for padding.
  package static func byteCount(of slabs: [TensorSlab]) -> Int {
    slabs.reduce(0) { $0 + $1.rows.count * $1.rowSize }
  }
}
