import Randomness

/// The hash of an external id: where a dictionary looks for it, and what decides the split of its
/// pairs.
///
/// Words of 8 bytes, little endian, each folded in by a full-width multiplication, and SplitMix64's
/// finaliser at the end. It is part of the dataset format: another function would put pairs into
/// other splits.
enum IdentifierHash {
  static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(bytes.count) &* 0x9E37_79B9_7F4A_7C15
    var offset = 0
    while offset + 8 <= bytes.count {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      hash = fold(hash ^ UInt64(littleEndian: word))
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < bytes.count {
      rest = unsafe rest << 8 | UInt64(bytes[offset])
      offset += 1
    }
    return mix64(fold(hash ^ rest) &+ rest)
  }

  @inline(__always)
  private static func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
  }
}
