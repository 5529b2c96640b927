import Checkpoints
import Foundation
import Storage
import Testing

/// Files that nobody vouches for: none may crash the program or take its memory.
@Suite struct HostileHeaderTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let reason: String
    let json: String
    var dataCount = 16
    var testDescription: String { "\(reason): \(json.prefix(80))" }

    init(_ reason: String, _ json: String, _ dataCount: Int = 16) {
      (self.reason, self.json, self.dataCount) = (reason, json, dataCount)
    }

    /// A header with one tensor `a`.
    static func tensor(_ reason: String, _ type: String, _ shape: String, _ offsets: String) -> Case
    {
      Case(reason, #"{"a":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}}"#)
    }
  }

  static let huge = "9223372036854775807"
  static let cases: [Case] = [
    Case("no {", ""),
    Case("no {", "[]"),
    Case("no {", "null"),
    Case("no \"", "{a:1}"),
    Case("no \"", "{"),
    Case("without end", "{\"a"),
    Case("without end", "{\"a\\"),
    Case("no :", "{\"a\"}"),
    Case("no {", "{\"a\":3}"),
    Case("text after the end", #"{}x"#),
    Case("control character", "{\"a\nb\":{}}"),
    Case("unknown escape", #"{"\x":{}}"#),
    Case("four hexadecimal digits", #"{"\u12g4":{}}"#),
    Case("four hexadecimal digits", #"{"\u12"#),
    Case("surrogate", #"{"\ud800":{}}"#),
    Case("surrogate", #"{"\ud800\u0041":{}}"#),
    Case("surrogate", #"{"\udc00":{}}"#),
    Case(
      "\"a\" occurs twice",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#),
    Case("\"dtype\" occurs twice", #"{"a":{"dtype":"F32","dtype":"F32"}}"#),
    Case("\"k\" occurs twice", #"{"__metadata__":{"k":"1","k":"2"}}"#),
    Case("no \"", #"{"__metadata__":{"k":1}}"#),
    Case("unknown key \"strides\" of tensor a", #"{"a":{"strides":[1]}}"#),
    Case("tensor a lacks", #"{"a":{}}"#),
    Case("tensor a lacks", #"{"a":{"dtype":"F32","shape":[4]}}"#),
    .tensor("tensor a lacks", "F32", "[4]", "[0]"),
    .tensor("tensor a lacks", "F32", "[4]", "[16,0]"),
    .tensor("more than 2 numbers", "F32", "[4]", "[0,8,16]"),
    .tensor("tensor a has dtype F16; known are F32, F64, I64, U32", "F16", "[8]", "[0,16]"),
    .tensor("no integer", "F32", "[-4]", "[0,16]"),
    .tensor("no integer", "F32", "[4,]", "[0,16]"),
    .tensor("no ]", "F32", "[4.0]", "[0,16]"),
    .tensor("no ]", "F32", "[4e0]", "[0,16]"),
    .tensor("leading zero", "F32", "[04]", "[0,16]"),
    .tensor("beyond 2^63 - 1", "F32", "[9223372036854775808]", "[0,16]"),
    .tensor("more than 16 numbers", "F32", "[4\(String(repeating: ",1", count: 16))]", "[0,16]"),
    .tensor("cannot have 16 bytes", "F32", "[\(huge)]", "[0,16]"),
    .tensor("cannot have 16 bytes", "F32", "[4611686018427387905,2]", "[0,16]"),
    .tensor("cannot have 0 bytes", "F32", "[0,\(huge),\(huge)]", "[0,0]"),
    .tensor("cannot have 16 bytes", "F32", "[3]", "[0,16]"),
    .tensor("cannot have 16 bytes", "F64", "[4]", "[0,16]"),
    .tensor("tensor a starts at byte 4", "F32", "[3]", "[4,16]"),
    .tensor("the tensors take 12 bytes, but the file holds 16", "F32", "[3]", "[0,12]"),
    .tensor("the tensors take 20 bytes, but the file holds 16", "F32", "[5]", "[0,20]"),
    .tensor("cannot have", "F32", "[5]", "[0,\(huge)]"),
    Case("but the file holds 16", "{}"),
    Case(
      "tensor b starts at byte 4",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""b":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}}"#),
    Case(
      "tensor b starts at byte 12",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}"#),
    .tensor("cannot have 16 bytes", "F32", "[\(huge),0,\(huge)]", "[0,16]"),
    .tensor("cannot have 0 bytes", "F32", "[\(huge),0,\(huge)]", "[0,0]"),
    .tensor("cannot have 16 bytes", "F32", "[]", "[0,16]"),
    .tensor("cannot have 16 bytes", "F32", "[0]", "[0,16]"),
    // Products that come to 4 elements when they wrap around.
    .tensor("cannot have 16 bytes", "F32", "[4294967296,4294967296,4]", "[0,16]"),
    .tensor("cannot have 16 bytes", "F32", "[4611686018427387908]", "[0,16]"),
    Case("no \"", #"{"__metadata__":{"k":{}}}"#),
    Case("no {", #"{"__metadata__":null}"#),
    Case(
      "\"__metadata__\" occurs twice", #"{"__metadata__":{"k":"1"},"__metadata__":{}}"#),
    // Names as people see them: é in one and in two parts.
    Case(
      "occurs twice",
      "{\"\u{E9}\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"e\u{301}\":{}}"),
    Case("tensor two lines lacks", #"{"two\nlines":{}}"#),
    Case("no {", #"{"a":"# + String(repeating: "[", count: 100_000)),
    Case("unknown key \"a\" of tensor a", String(repeating: #"{"a":"#, count: 100_000)),
  ]

  private func refusal(of bytes: [UInt8]) throws -> Failure? {
    try withDirectory { root -> Failure? in
      let path = root + "/x.safetensors"
      try Files.replace(path, with: bytes)
      do throws(Failure) {
        _ = try TensorFile.Reader(path: path)
        return nil
      } catch {
        #expect(error.message.hasPrefix(path))
        return error
      }
    }
  }

  private func length(_ count: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
  }

  @Test(arguments: cases) func aHeaderThatIsNotValidIsRefused(_ item: Case) throws {
    let json = Array(item.json.utf8)
    let data = [UInt8](repeating: 1, count: item.dataCount)
    let failure = try #require(try refusal(of: length(UInt64(json.count)) + json + data))
    #expect(failure.kind == .data)
    #expect(failure.message.contains(item.reason), "\(failure)")
    #expect(!failure.message.contains("\n"))
  }

  /// Whatever the file says at length, the message says in short.
  @Test func messagesAreShort() throws {
    let long = String(repeating: "x", count: 1_000_000)
    let headers = [
      "{\"\(long)\":{}}", "{\"\(long)\":{\"\(long)\":1}}", "{\"a\":{\"\(long)\":1}}",
      "{\"a\":{\"dtype\":\"\(long)\",\"shape\":[],\"data_offsets\":[0,4]}}",
      "{\"\(long)\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[1,4]}}",
      "{\"\(long)\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}}",
    ]
    for json in headers {
      let failure = try #require(
        try refusal(of: length(UInt64(json.utf8.count)) + Array(json.utf8) + [0, 0, 0, 0]))
      #expect(failure.message.utf8.count < 600)
    }
  }

  @Test func lengthsThatDoNotFitAreRefused() throws {
    let body = Array("{}".utf8)
    let cases: [([UInt8], String)] = [
      ([], "is not a safetensors file: it has 0 bytes"),
      ([2, 0, 0, 0], "is not a safetensors file: it has 4 bytes"),
      (length(3) + body, "a header of 3 bytes does not fit a file of 10 bytes"),
      (length(4 << 20) + body, "does not fit a file of 10 bytes"),
      (length(4 << 20 + 1) + body, "is longer than 4194304"),
      (length(.max) + body, "is longer than 4194304"),
      (length(1 << 63) + body, "is longer than 4194304"),
      (length(1) + body, "no \""),
    ]
    for (bytes, reason) in cases {
      let failure = try #require(try refusal(of: bytes))
      #expect(failure.kind == .data)
      #expect(failure.message.contains(reason), "\(failure)")
    }
  }

  @Test func textThatIsNotUTF8IsRefused() throws {
    let sequences: [[UInt8]] = [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80]]
    for bad in sequences {
      let json = Array("{\"a".utf8) + bad + Array("\":{}}".utf8)
      let failure = try #require(try refusal(of: length(UInt64(json.count)) + json))
      #expect(failure.message.contains("not UTF-8"), "\(failure)")
    }
  }

  /// A valid file, with any one byte of the header changed or missing, is read or refused.
  @Test func everyDamagedHeaderIsReadOrRefused() throws {
    let json = Array(
      #"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#.utf8)
    let valid = length(UInt64(json.count)) + json + [UInt8](repeating: 1, count: 16)
    var refused = 0
    for place in 0..<(8 + json.count) {
      for byte in [0, 0x22, 0x30, 0x39, 0x5B, 0x7D, 0xFF, valid[place] ^ 1] as [UInt8] {
        var bytes = valid
        bytes[place] = byte
        if try refusal(of: bytes) != nil { refused += 1 }
      }
      #expect(try refusal(of: Array(valid.prefix(place))) != nil)
    }
    // Only the name itself can be changed freely.
    #expect(refused >= 8 * (8 + json.count) - 8 - json.count)
  }

  @Test func whatIsNotAnOrdinaryFileIsRefused() throws {
    try withDirectory { root in
      let missing = #expect(throws: Failure.self) { try TensorFile.Reader(path: root + "/none") }
      #expect(missing?.kind == .inputOutput)
      let directory = #expect(throws: Failure.self) { try TensorFile.Reader(path: root) }
      #expect(directory?.message == "cannot read \(root): Is a directory")
      unsafe try #require(mkfifo(root + "/pipe", 0o600) == 0)
      let pipe = #expect(throws: Failure.self) { try TensorFile.Reader(path: root + "/pipe") }
      #expect(pipe?.kind == .inputOutput)
    }
  }
}
