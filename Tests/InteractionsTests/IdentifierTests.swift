import Interactions
import Storage
import Testing

@Suite struct IdentifierTests {
  func add(_ bytes: [UInt8], to builder: IdentifierBuilder) throws(IdentifierFault) -> Int {
    var result: Result<Int, IdentifierFault> = .failure(.empty)
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(IdentifierFault) {
        result = unsafe .success(try builder.index(addingIfNeeded: buffer))
      } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  /// 40,000 look-ups of 12,000 ids, through several growths, agree with Swift's dictionary.
  @Test func agreesWithADictionary() throws {
    let builder = IdentifierBuilder()
    var oracle: [String: Int] = [:]
    var mismatches = 0
    for step in 0..<40_000 {
      let number = step &* 7919 % 12_000
      // Lengths 1 to 20, so that words and their rests are both hashed.
      let name = String(repeating: "x", count: number % 16) + String(number)
      let expected = oracle[name] ?? oracle.count
      oracle[name] = expected
      if try add(Array(name.utf8), to: builder) != expected { mismatches += 1 }
    }
    #expect(mismatches == 0)
    #expect(builder.count == oracle.count)
    for (name, index) in oracle where unsafe !builder.identifier(index).elementsEqual(name.utf8) {
      mismatches += 1
    }
    #expect(mismatches == 0)
  }

  @Test(arguments: [
    ("", IdentifierFault.empty),
    (String(repeating: "x", count: 4097), .tooLong),
    ("9223372036854775809", .overflow),
    ("18446744073709551616", .overflow),
    ("100000000000000000000000", .overflow),
  ])
  func faultsAreTold(text: String, fault: IdentifierFault) {
    let builder = IdentifierBuilder()
    #expect(throws: fault) { try add(Array(text.utf8), to: builder) }
    #expect(builder.count == 0)
  }

  @Test func extremesAreAccepted() throws {
    let builder = IdentifierBuilder()
    let texts = [
      "9223372036854775808", "000000000000000000000000009", "-99999999999999999999",
      String(repeating: "é", count: 2048), "\0",
    ]
    for (index, text) in texts.enumerated() {
      #expect(try add(Array(text.utf8), to: builder) == index)
    }
  }

  @Test func bytesMustBeText() {
    let builder = IdentifierBuilder()
    for bytes: [UInt8] in [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] {
      #expect(throws: IdentifierFault.notUTF8) { try add(bytes, to: builder) }
    }
  }

  @Test func idsAreLimitedInNumber() throws {
    let builder = IdentifierBuilder(limit: 2)
    #expect(try add([1], to: builder) == 0)
    #expect(try add([2], to: builder) == 1)
    #expect(try add([1], to: builder) == 0)
    #expect(throws: IdentifierFault.tooMany) { try add([3], to: builder) }
  }

  @Test func storedIdsLeadBothWays() throws {
    let directory = try TemporaryDirectory()
    let log = ToyLog()
    let dataset = try log.prepare(in: directory).dataset
    let names = Set((log.train + log.valid + log.test).map(\.user))
    let users = try dataset.userIdentifiers()
    #expect(users.count == names.count)
    #expect(Set((0..<users.count).map(users.externalIdentifier(of:))) == names)
    for index in 0..<users.count {
      #expect(users.index(of: users.externalIdentifier(of: index)) == index)
    }
    #expect(users.index(of: "nobody") == nil)
    #expect(users.index(of: "") == nil)
    #expect(try dataset.itemIdentifiers().index(of: "novelty") != nil)
  }
}
