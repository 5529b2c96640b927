import Fabric
import Storage

/// Writes tensors to a file of all ranks in rounds, and keeps a rank's first error until the end.
///
/// A rank that cannot write goes on with empty rounds, because the others are in the same
/// collectives: they all learn of it in the end, together. This relies on a shared file's calls
/// meeting the other ranks also when they end in an error of the operating system.
final class CollectiveWriter {
  private let file: any SharedFile
  private let roundSize: Int
  private var packed: [UInt8] = []
  private var failure: (any Error)?

  init(file: any SharedFile, roundSize: Int) {
    precondition(roundSize > 0, "a round must write something")
    self.file = file
    self.roundSize = roundSize
  }

  /// The number of rounds that the rank with most rows needs for this tensor.
  func rounds(_ slab: TensorSlab, mostRows: Int) -> Int {
    guard slab.rowSize > 0 else { return 0 }
    let step = rowsPerRound(slab)
    return mostRows / step + (mostRows % step == 0 ? 0 : 1)
  }

  /// Takes part in one round with `bytes`.
  func write(_ bytes: [UInt8], at offset: Int) {
    unsafe bytes.withUnsafeBytes { unsafe round($0, at: offset) }
  }

  /// Writes this rank's rows of a tensor that starts at `offset`, in exactly `rounds` rounds.
  func write(_ slab: TensorSlab, at offset: Int, rounds: Int) {
    let step = rowsPerRound(slab)
    for index in 0..<rounds {
      let start = slab.rows.lowerBound + min(index * step, slab.rows.count)
      let rows = start..<min(start + step, slab.rows.upperBound)
      let place = offset + rows.lowerBound * slab.rowSize
      guard let base = unsafe slab.base, !rows.isEmpty else {
        unsafe round(UnsafeRawBufferPointer(start: nil, count: 0), at: place)
        continue
      }
      let first =
        unsafe base + (rows.lowerBound - slab.rows.lowerBound) * slab.stride * slab.element.size
      if slab.stride == slab.columns || rows.count == 1 {
        unsafe round(
          UnsafeRawBufferPointer(start: first, count: rows.count * slab.rowSize), at: place)
      } else {
        unsafe pack(slab, first, rows.count)
        unsafe packed.withUnsafeBytes { bytes in
          unsafe round(
            UnsafeRawBufferPointer(rebasing: bytes[..<(rows.count * slab.rowSize)]), at: place)
        }
      }
    }
  }

  /// Closes the file on all ranks.
  ///
  /// - Throws: The first error of this rank, if there was one: a `Failure` when it was the file's.
  func close() throws {
    do {
      try file.close()
    } catch {
      failure = failure ?? error
    }
    if let failure { try TensorFile.withFailures { throw failure } }
  }

  private func rowsPerRound(_ slab: TensorSlab) -> Int {
    max(1, roundSize / max(1, slab.rowSize))
  }

  private func pack(_ slab: TensorSlab, _ first: UnsafeRawPointer, _ count: Int) {
    let size = slab.rowSize
    if packed.count < count * size { packed = [UInt8](repeating: 0, count: count * size) }
    let apart = slab.stride * slab.element.size
    unsafe packed.withUnsafeMutableBytes { bytes in
      guard let target = bytes.baseAddress else { return }
      for row in 0..<count {
        unsafe (target + row * size).copyMemory(from: first + row * apart, byteCount: size)
      }
    }
  }

  private func round(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    let share = unsafe failure == nil ? bytes : UnsafeRawBufferPointer(start: nil, count: 0)
    do {
      unsafe try file.write(share, at: offset)
    } catch {
      failure = failure ?? error
    }
  }
}
