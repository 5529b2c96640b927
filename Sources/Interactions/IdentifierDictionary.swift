import Foundation
import Storage
import Synchronization

/// The external ids of a dataset's users or items, by dense id and back.
///
/// The ids stay in their mapped files. The hash that leads back is built at the first call of
/// ``index(of:)``: O(ids) time once, 16 bytes or more per id. Offsets are checked when the
/// dictionary is opened, so its use is safe.
@safe
package final class IdentifierDictionary: Sendable {
  package let count: Int
  private let offsets: MappedFile
  private let bytes: MappedFile
  /// Upper half of the hash and dense id + 1; 0 is a free slot. Empty until needed.
  private let slots = Mutex<[UInt64]>([])

  /// Opens the two files of a dictionary.
  ///
  /// - Throws: `Failure`: data when they do not belong together, `inputOutput`.
  init(
    count: Int, offsets offsetsPath: String, _ offsetsManifest: ColumnManifest,
    bytes bytesPath: String, _ bytesManifest: ColumnManifest, verify: Bool
  ) throws(Failure) {
    self.count = count
    offsets = try openColumn(offsetsPath, offsetsManifest, verify: verify)
    bytes = try openColumn(bytesPath, bytesManifest, verify: verify)
    let values = unsafe offsets.readOnly.bindMemory(to: UInt64.self)
    guard unsafe areOffsets(values, over: bytes.bytes.count) else {
      throw .data("\(offsetsPath): the offsets do not ascend to the length of \(bytesPath)")
    }
  }

  /// The id that the log used for a dense id, which must be in `0 ..< count`.
  package func externalIdentifier(of index: Int) -> String {
    unsafe String(decoding: identifier(index), as: UTF8.self)
  }

  /// The dense id of an external id, or `nil` when the dataset does not know it.
  package func index(of identifier: String) -> Int? {
    let wanted = Array(identifier.utf8)
    return slots.withLock { slots in
      if slots.isEmpty { slots = makeSlots() }
      return unsafe wanted.withUnsafeBytes { unsafe find($0, slots) }
    }
  }

  private func identifier(_ index: Int) -> UnsafeRawBufferPointer {
    precondition((0..<count).contains(index), "a dense id must be in 0 ..< count")
    let values = unsafe offsets.readOnly.bindMemory(to: UInt64.self)
    let range =
      unsafe Int(
        UInt64(littleEndian: values[index]))..<Int(
        UInt64(littleEndian: values[index + 1]))
    return unsafe UnsafeRawBufferPointer(rebasing: bytes.readOnly[range])
  }

  private func makeSlots() -> [UInt64] {
    var capacity = 16
    while capacity < 2 * count { capacity *= 2 }
    var slots = [UInt64](repeating: 0, count: capacity)
    for index in 0..<count {
      let hash = unsafe IdentifierHash.hash(identifier(index))
      var slot = Int(truncatingIfNeeded: hash) & (capacity - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
      slots[slot] = hash & ~0xFFFF_FFFF | UInt64(index + 1)
    }
    return slots
  }

  private func find(_ wanted: UnsafeRawBufferPointer, _ slots: [UInt64]) -> Int? {
    let hash = unsafe IdentifierHash.hash(wanted)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(truncatingIfNeeded: slots[slot] & 0xFFFF_FFFF) - 1
      if slots[slot] >> 32 == hash >> 32, unsafe identifier(index).elementsEqual(wanted) {
        return index
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }
}

/// Whether a little-endian column ascends from 0 to `total`.
func areOffsets(_ values: UnsafeBufferPointer<UInt64>, over total: Int) -> Bool {
  var previous: UInt64 = 0
  guard unsafe values.first == 0 else { return false }
  for index in 0..<values.count {
    let value = UInt64(littleEndian: unsafe values[index])
    guard value >= previous else { return false }
    previous = value
  }
  return previous == UInt64(total)
}

/// Maps a file of a dataset after comparing its length and, if asked, its checksum.
///
/// - Throws: `Failure`: data naming the file when it was altered, `inputOutput`.
func openColumn(
  _ path: String, _ manifest: ColumnManifest, verify: Bool
) throws(Failure) -> MappedFile {
  try requireSize(of: path, manifest.bytes)
  let file = try MappedFile(reading: path)
  // The file may have shrunk in between.
  guard unsafe file.bytes.count == manifest.bytes else {
    throw .data("\(path) is being changed; prepare the dataset again")
  }
  guard unsafe !verify || hexadecimal(XXHash64.hash(file.readOnly)) == manifest.xxh64 else {
    throw .data("\(path): the checksum is wrong, the file was altered; prepare the dataset again")
  }
  // What was read only to be checked is no memory that training needs.
  if verify { file.release() }
  return file
}

/// Refuses a file of a dataset that is not there or has another length than its description says.
///
/// - Throws: `Failure` of kind data.
func requireSize(of path: String, _ expected: Int) throws(Failure) {
  guard let size = Files.size(of: path) else {
    throw .data("\(path) is missing; prepare the dataset again")
  }
  guard size == expected else {
    throw .data("\(path) has \(size) bytes instead of \(expected); prepare the dataset again")
  }
}
