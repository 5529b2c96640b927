import Foundation

/// What an ``IdentifierBuilder`` looks up in: open addressing with linear probing over a power of
/// two of slots, at most half of them taken; the ids lie one after the other in an arena.
///
/// It owns both and checks every access against its own counts, so its use is safe.
@safe
struct IdentifierTable: ~Copyable {
  private struct Slot {
    /// The bytes of an id of up to 8, else its hash.
    var key: UInt64
    /// Its length, or 9 when it is longer than 8.
    var length: UInt32
    /// Its index and 1; 0 is a free slot.
    var successor: UInt32
  }

  /// The longest id that a slot holds whole.
  private static let inlineLength = 8

  private(set) var count = 0
  private let limit: Int
  private var slots: UnsafeMutableBufferPointer<Slot>
  private var arena: UnsafeMutableRawPointer
  private var arenaCapacity = 1 << 12
  /// Where id `i` starts; one more than there are ids.
  private var offsets = [0]

  init(limit: Int) {
    self.limit = limit
    unsafe slots = Self.emptySlots(1 << 10)
    unsafe arena = .allocate(byteCount: arenaCapacity, alignment: 1)
  }

  deinit {
    unsafe slots.deallocate()
    unsafe arena.deallocate()
  }

  /// The index of an id, which is added when it is new.
  @inline(__always)
  mutating func index(
    addingIfNeeded identifier: UnsafeRawBufferPointer
  ) throws(IdentifierFault) -> Int {
    let isInline = identifier.count <= Self.inlineLength
    let key = unsafe isInline ? Self.word(identifier) : IdentifierHash.hash(identifier)
    let length = UInt32(isInline ? identifier.count : Self.inlineLength + 1)
    var place = unsafe Self.place(key, length) & (slots.count - 1)
    while unsafe slots[place].successor != 0 {
      let slot = unsafe slots[place]
      if slot.key == key, slot.length == length {
        let index = Int(slot.successor) - 1
        if unsafe isInline || isEqual(index, identifier) { return index }
      }
      place = unsafe (place + 1) & (slots.count - 1)
    }
    unsafe try add(identifier, key, length, at: place)
    return count - 1
  }

  /// The bytes of id `index`; valid until the next id is added.
  func identifier(_ index: Int) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(
      start: arena + offsets[index], count: offsets[index + 1] - offsets[index])
  }

  /// At most 8 bytes as one number; different bytes of one length give different numbers.
  @inline(__always)
  private static func word(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard let base = bytes.baseAddress else { return 0 }
    let count = bytes.count
    if count >= 4 {
      // Two words that overlap, and agree where they do.
      let first = unsafe UInt64(base.loadUnaligned(as: UInt32.self))
      let last = unsafe UInt64(base.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
      return first | last << UInt64(8 * (count - 4))
    }
    var word: UInt64 = 0
    for offset in 0..<count { word = unsafe word << 8 | UInt64(bytes[offset]) }
    return word
  }

  @inline(__always)
  private static func place(_ key: UInt64, _ length: UInt32) -> Int {
    let product = (key ^ UInt64(length)).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return Int(truncatingIfNeeded: product.high ^ product.low >> 29)
  }

  private func isEqual(_ index: Int, _ identifier: UnsafeRawBufferPointer) -> Bool {
    let known = unsafe self.identifier(index)
    guard known.count == identifier.count, let left = known.baseAddress,
      let right = identifier.baseAddress
    else { return false }
    return unsafe memcmp(left, right, known.count) == 0
  }

  @inline(never)
  private mutating func add(
    _ identifier: UnsafeRawBufferPointer, _ key: UInt64, _ length: UInt32, at place: Int
  ) throws(IdentifierFault) {
    unsafe try check(identifier)
    unsafe append(identifier)
    count += 1
    unsafe slots[place] = Slot(key: key, length: length, successor: UInt32(count))
    if unsafe 2 * count > slots.count { grow() }
  }

  /// Only new ids are checked: one that is known has passed.
  private func check(_ identifier: UnsafeRawBufferPointer) throws(IdentifierFault) {
    guard unsafe !identifier.isEmpty else { throw .empty }
    guard identifier.count <= IdentifierBuilder.maximumLength else { throw .tooLong }
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

  private mutating func append(_ identifier: UnsafeRawBufferPointer) {
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

  private mutating func grow() {
    let larger = unsafe Self.emptySlots(2 * slots.count)
    for index in unsafe 0..<slots.count where unsafe slots[index].successor != 0 {
      let slot = unsafe slots[index]
      var place = Self.place(slot.key, slot.length) & (larger.count - 1)
      while unsafe larger[place].successor != 0 { place = (place + 1) & (larger.count - 1) }
      unsafe larger[place] = slot
    }
    unsafe slots.deallocate()
    unsafe slots = unsafe larger
  }

  private static func emptySlots(_ count: Int) -> UnsafeMutableBufferPointer<Slot> {
    let slots = UnsafeMutableBufferPointer<Slot>.allocate(capacity: count)
    unsafe slots.initialize(repeating: Slot(key: 0, length: 0, successor: 0))
    return unsafe slots
  }
}
