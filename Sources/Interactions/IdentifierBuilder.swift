import Foundation
import Storage

/// Why an external id cannot be taken.
package enum IdentifierFault: Error, Equatable, Sendable {
  case empty
  /// More than ``IdentifierBuilder/maximumLength`` bytes.
  case tooLong
  /// Digits only, and more than 2⁶³: no other program could hold it as a number.
  case overflow
  case notUTF8
  /// More ids than a dense index of 31 bits can tell apart.
  case tooMany

  /// What is wrong and what to do, for a message.
  package var explanation: String {
    switch self {
    case .empty: "is empty; every row needs one"
    case .tooLong:
      "is longer than \(IdentifierBuilder.maximumLength) bytes; is a separator missing?"
    case .overflow: "overflows: numbers go up to 2^63; put a letter in front to make it a text"
    case .notUTF8: "is not valid UTF-8; convert the file"
    case .tooMany: "is one too many: at most \(IdentifierBuilder.maximumCount) are supported"
    }
  }
}

/// A growing dictionary from external ids, arbitrary bytes, to 0, 1, 2, … by first appearance.
///
/// Open addressing with linear probing over a power of two of slots, at most half of them taken;
/// the ids lie one after the other in an arena. The builder owns both and checks every access
/// against its own counts, so its use is safe.
///
/// - Complexity: O(1) expected per look-up; about 32 bytes and the id itself in memory per id.
@safe
package final class IdentifierBuilder {
  /// The longest id in bytes.
  package static let maximumLength = 4096
  /// The most ids: dense indices fit a signed 32-bit integer.
  package static let maximumCount = Int(Int32.max)

  /// Number of ids so far.
  package var count: Int { hashes.count }
  private let limit: Int
  /// Upper half of the hash and index + 1; 0 is a free slot.
  private var slots: UnsafeMutableBufferPointer<UInt64>
  private var arena: UnsafeMutableRawPointer
  private var arenaCapacity = 1 << 12
  /// Where id `i` starts; one more than there are ids.
  private var offsets = [0]
  private var hashes: [UInt64] = []

  /// An empty dictionary.
  ///
  /// - Parameter limit: The most ids, smaller only in tests.
  package init(limit: Int = IdentifierBuilder.maximumCount) {
    self.limit = limit
    unsafe slots = .allocate(capacity: 1 << 10)
    unsafe slots.initialize(repeating: 0)
    unsafe arena = .allocate(byteCount: arenaCapacity, alignment: 1)
  }

  deinit {
    unsafe slots.deallocate()
    unsafe arena.deallocate()
  }

  /// The index of an id, which is added when it is new.
  ///
  /// - Throws: `IdentifierFault` when a new id cannot be taken.
  package func index(
    addingIfNeeded identifier: UnsafeRawBufferPointer
  ) throws(IdentifierFault) -> Int {
    let hash = unsafe IdentifierHash.hash(identifier)
    var slot = unsafe Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while unsafe slots[slot] != 0 {
      if unsafe slots[slot] >> 32 == hash >> 32 {
        let index = unsafe Int(truncatingIfNeeded: slots[slot] & 0xFFFF_FFFF) - 1
        let known = unsafe self.identifier(index)
        if known.count == identifier.count, let left = known.baseAddress,
          let right = identifier.baseAddress, unsafe memcmp(left, right, known.count) == 0
        {
          return index
        }
      }
      slot = unsafe (slot + 1) & (slots.count - 1)
    }
    unsafe try check(identifier)
    unsafe append(identifier)
    hashes.append(hash)
    unsafe slots[slot] = hash & ~0xFFFF_FFFF | UInt64(count)
    if unsafe 2 * count > slots.count { grow() }
    return count - 1
  }

  /// The bytes of id `index`; valid until the next id is added.
  package func identifier(_ index: Int) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(
      start: arena + offsets[index], count: offsets[index + 1] - offsets[index])
  }

  /// The hash of id `index`, see ``IdentifierHash``.
  func hash(of index: Int) -> UInt64 { hashes[index] }

  /// Only new ids are checked: one that is known has passed.
  private func check(_ identifier: UnsafeRawBufferPointer) throws(IdentifierFault) {
    guard unsafe !identifier.isEmpty else { throw .empty }
    guard identifier.count <= Self.maximumLength else { throw .tooLong }
    guard count < limit else { throw .tooMany }
    if identifier.count >= 19, unsafe identifier.allSatisfy(Ascii.isDigit) {
      let digits = unsafe identifier.drop { $0 == Ascii.zero }
      guard unsafe digits.count <= 19 else { throw .overflow }
      let value = unsafe digits.reduce(0 as UInt64) { $0 &* 10 &+ UInt64($1 &- Ascii.zero) }
      guard value <= 1 << 63 else { throw .overflow }
    }
    if unsafe identifier.contains(where: { $0 >= 0x80 }) {
      guard unsafe String(validating: identifier, as: UTF8.self) != nil else { throw .notUTF8 }
    }
  }

  private func append(_ identifier: UnsafeRawBufferPointer) {
    let end = offsets[count] + identifier.count
    if end > arenaCapacity {
      let larger = UnsafeMutableRawPointer.allocate(
        byteCount: max(2 * arenaCapacity, end), alignment: 1)
      unsafe larger.copyMemory(from: arena, byteCount: offsets[count])
      unsafe arena.deallocate()
      unsafe arena = unsafe larger
      arenaCapacity = max(2 * arenaCapacity, end)
    }
    if let base = identifier.baseAddress {
      unsafe (arena + offsets[count]).copyMemory(from: base, byteCount: identifier.count)
    }
    offsets.append(end)
  }

  private func grow() {
    let larger = unsafe UnsafeMutableBufferPointer<UInt64>.allocate(capacity: 2 * slots.count)
    unsafe larger.initialize(repeating: 0)
    for (index, hash) in hashes.enumerated() {
      var slot = Int(truncatingIfNeeded: hash) & (larger.count - 1)
      while unsafe larger[slot] != 0 { slot = (slot + 1) & (larger.count - 1) }
      unsafe larger[slot] = hash & ~0xFFFF_FFFF | UInt64(index + 1)
    }
    unsafe slots.deallocate()
    unsafe slots = unsafe larger
  }
}

extension IdentifierBuilder {
  /// Writes the ids in another order: an offsets column, one longer than there are ids, and the
  /// bytes one after the other.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  func write(
    in order: [UInt32], offsets: String, bytes: String
  ) throws(Failure) -> (offsets: ColumnManifest, bytes: ColumnManifest) {
    let offsetColumn = try ColumnWriter<UInt64>(path: offsets)
    let text = try FileWriter(path: bytes)
    try offsetColumn.append(0)
    for index in order {
      unsafe try text.append(identifier(Int(index)))
      try offsetColumn.append(UInt64(text.count))
    }
    let count = text.count
    return (try offsetColumn.close(), ColumnManifest(bytes: count, checksum: try text.close()))
  }
}
