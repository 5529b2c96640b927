/// A running XXH64 checksum: the guard of dataset columns and checkpoint files.
///
/// Yann Collet, *xxHash fast digest algorithm*, specification 0.1.1. It finds accidental damage at
/// the speed of memory; it is no protection against a forger, for which see ``SHA256``.
///
/// - Complexity: O(1) memory; about 10 GB/s.
package struct XXHash64: Sendable {
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  private var lanes: SIMD4<UInt64>
  private let seed: UInt64
  private var total: UInt64 = 0
  /// Bytes that do not fill a stripe of 32 yet.
  private var rest: [UInt8] = []

  package init(seed: UInt64 = 0) {
    self.seed = seed
    lanes = SIMD4(
      seed &+ Self.prime1 &+ Self.prime2, seed &+ Self.prime2, seed, seed &- Self.prime1)
    rest.reserveCapacity(32)
  }

  /// The checksum of `bytes`.
  package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    var state = XXHash64(seed: seed)
    unsafe state.update(bytes)
    return state.finalize()
  }

  /// Takes in more bytes; how the stream is cut into calls does not matter.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    total &+= UInt64(bytes.count)
    var lanes = self.lanes
    defer { self.lanes = lanes }
    var offset = 0
    if !rest.isEmpty {
      let taken = min(32 - rest.count, bytes.count)
      unsafe rest.append(contentsOf: bytes[0..<taken])
      offset = taken
      guard rest.count == 32 else { return }
      unsafe rest.withUnsafeBytes { unsafe Self.stripe($0, 0, &lanes) }
      rest.removeAll(keepingCapacity: true)
    }
    while offset + 32 <= bytes.count {
      unsafe Self.stripe(bytes, offset, &lanes)
      offset += 32
    }
    unsafe rest.append(contentsOf: bytes[offset...])
  }

  /// The checksum of everything taken in so far.
  package func finalize() -> UInt64 {
    var hash: UInt64
    if total >= 32 {
      hash =
        Self.rotate(lanes[0], 1) &+ Self.rotate(lanes[1], 7) &+ Self.rotate(lanes[2], 12)
        &+ Self.rotate(lanes[3], 18)
      for lane in 0..<4 {
        hash = (hash ^ Self.round(0, lanes[lane])) &* Self.prime1 &+ Self.prime4
      }
    } else {
      hash = seed &+ Self.prime5
    }
    hash = hash &+ total
    unsafe rest.withUnsafeBytes { bytes in
      var offset = 0
      while offset + 8 <= bytes.count {
        hash ^= Self.round(0, unsafe Self.word64(bytes, offset))
        hash = Self.rotate(hash, 27) &* Self.prime1 &+ Self.prime4
        offset += 8
      }
      if offset + 4 <= bytes.count {
        let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        hash ^= UInt64(UInt32(littleEndian: word)) &* Self.prime1
        hash = Self.rotate(hash, 23) &* Self.prime2 &+ Self.prime3
        offset += 4
      }
      while offset < bytes.count {
        hash ^= UInt64(unsafe bytes[offset]) &* Self.prime5
        hash = Self.rotate(hash, 11) &* Self.prime1
        offset += 1
      }
    }
    hash = (hash ^ (hash >> 33)) &* Self.prime2
    hash = (hash ^ (hash >> 29)) &* Self.prime3
    return hash ^ (hash >> 32)
  }

  @inline(__always)
  private static func stripe(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ lanes: inout SIMD4<UInt64>
  ) {
    for lane in 0..<4 {
      lanes[lane] = round(lanes[lane], unsafe word64(bytes, offset &+ 8 &* lane))
    }
  }

  @inline(__always)
  private static func word64(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  private static func round(_ accumulator: UInt64, _ input: UInt64) -> UInt64 {
    rotate(accumulator &+ input &* prime2, 31) &* prime1
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
    (value << count) | (value >> (64 - count))
  }
}
