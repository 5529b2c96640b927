import Storage
import Testing

@Suite struct ChecksumTests {
  /// The example digests of FIPS 180-4 and the edges of the padding rule.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func secureDigestMatchesTheStandard(text: String, expected: String) {
    let digest = unsafe Array(text.utf8).withUnsafeBytes { unsafe SHA256.hexadecimal(of: $0) }
    #expect(digest == expected)
  }

  /// Without the instructions the first claim compares the Swift code with itself; the digests of
  /// the standard above hold it then.
  @Test(arguments: [0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 4097])
  func instructionsAndSwiftGiveTheSameDigest(count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ $0 >> 2) }
    for size in [1, 7, 64, 100, 4097] {
      var (fast, plain) = (SHA256(), SHA256(usesInstructions: false))
      for start in stride(from: 0, to: count, by: size) {
        unsafe bytes[start..<min(start + size, count)].withUnsafeBytes {
          unsafe fast.update($0)
          unsafe plain.update($0)
        }
      }
      #expect(fast.hexadecimal() == plain.hexadecimal())
    }
  }

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func digestInSwiftMatchesTheStandard(text: String, expected: String) {
    var digest = SHA256(usesInstructions: false)
    unsafe Array(text.utf8).withUnsafeBytes { unsafe digest.update($0) }
    #expect(digest.hexadecimal() == expected)
  }

  /// Known answers of the reference implementation of xxHash for the first bytes of its own test
  /// pattern would need its generator; these strings are the widely published ones.
  @Test(arguments: [
    ("", 0, 0xEF46_DB37_51D8_E999 as UInt64),
    ("a", 0, 0xD24E_C4F1_A98C_6E5B),
    ("abc", 0, 0x44BC_2CF5_AD77_0999),
    ("Nobody inspects the spammish repetition", 0, 0xFBCE_A83C_8A37_8BF1),
  ])
  func fastChecksumMatchesPublishedValues(text: String, seed: UInt64, expected: UInt64) {
    let hash = unsafe Array(text.utf8).withUnsafeBytes { unsafe XXHash64.hash($0, seed: seed) }
    #expect(hash == expected)
  }

  @Test(arguments: [0, 1, 31, 32, 33, 63, 64, 65, 127, 1000])
  func digestsDoNotDependOnHowTheStreamIsCut(count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 >> 3) }
    let (fast, secure) = unsafe bytes.withUnsafeBytes {
      unsafe (XXHash64.hash($0), SHA256.hexadecimal(of: $0))
    }
    for size in [1, 3, 7, 32, 40, 64, 100] {
      var (runningFast, runningSecure) = (XXHash64(), SHA256())
      for start in stride(from: 0, to: count, by: size) {
        unsafe bytes[start..<min(start + size, count)].withUnsafeBytes {
          unsafe runningFast.update($0)
          unsafe runningSecure.update($0)
        }
      }
      #expect(runningFast.finalize() == fast)
      #expect(runningSecure.hexadecimal() == secure)
    }
  }
}
