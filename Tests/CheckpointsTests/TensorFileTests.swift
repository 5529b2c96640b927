import Checkpoints
import Fabric
import Foundation
import Storage
import Testing

@Suite struct TensorFileTests {
  /// The bytes of a small file, put together by hand from the format's description.
  private func golden() -> [UInt8] {
    let json =
      #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"#
      + #""data_offsets":[0,16]},"b":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}}"#
    // 143 bytes of JSON and 41 blanks: with the length, three times 64.
    var bytes: [UInt8] = [184, 0, 0, 0, 0, 0, 0, 0] + Array(json.utf8)
    bytes += [UInt8](repeating: 0x20, count: 41)
    bytes += [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]  // 1, -2
    bytes += [0, 0, 0x20, 0x41, 0, 0, 0, 0x3F]  // 10, 0.5
    bytes += [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]  // -2
    return bytes
  }

  @Test func aFileHasTheBytesOfTheFormat() throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      let values: [Float] = [1, -2, .nan, 10, 0.5, .nan]
      let integers: [Int64] = [-2]
      unsafe try values.withUnsafeBufferPointer { values in
        unsafe try integers.withUnsafeBufferPointer { integers in
          unsafe try TensorFile.write(
            path,
            [
              TensorSlab(name: "b", shape: [1], rows: 0..<1, base: integers.baseAddress),
              TensorSlab(
                name: "a", shape: [2, 2], rows: 0..<2, stride: 3, base: values.baseAddress),
            ], metadata: ["format": "pt"], group: SoloGroup())
        }
      }
      #expect(try Files.read(path) == golden())
    }
  }

  @Test func rowsOfAFileAreReadToWhereTheyBelong() throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      try Files.replace(path, with: golden())
      let reader = try TensorFile.Reader(path: path)
      #expect(reader.metadata == ["format": "pt"])
      #expect(reader.entries.map(\.name) == ["a", "b"])
      #expect(try reader.values("a") == [1, -2, 10, 0.5] as [Float])
      #expect(try reader.values("b", as: Int64.self) == [-2])
      var rows: [Float] = [7, 7, 7, 7, 7, 7]
      unsafe try rows.withUnsafeMutableBufferPointer { rows in
        let base = unsafe try #require(rows.baseAddress)
        unsafe try reader.read("a", rows: 0..<2, into: base, stride: 3)
      }
      #expect(rows == [1, -2, 7, 10, 0.5, 7])
      unsafe try rows.withUnsafeMutableBufferPointer { rows in
        let base = unsafe try #require(rows.baseAddress)
        unsafe try reader.read("a", rows: 1..<2, into: base)
        unsafe try reader.read("a", rows: 2..<2, into: base)
      }
      #expect(rows == [10, 0.5, 7, 10, 0.5, 7])
    }
  }

  @Test func aTensorThatIsNotWhatTheCallerExpectsIsNamed() throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      try Files.replace(path, with: golden())
      let reader = try TensorFile.Reader(path: path)
      try reader.require("a", shape: [2, 2])
      try reader.require("b", shape: [1], .int64)
      func message(_ body: () throws(Failure) -> Void) -> String? {
        do { try body() } catch { return error.kind == .data ? error.message : nil }
        return nil
      }
      #expect(
        message { () throws(Failure) in try reader.require("a", shape: [2, 32]) }
          == "\(path): tensor a has shape (2, 2), expected (2, 32)")
      #expect(
        message { () throws(Failure) in try reader.require("c", shape: [2]) }
          == "\(path) has no tensor c")
      #expect(
        message { () throws(Failure) in try reader.require("b", shape: [1]) }
          == "\(path): tensor b has dtype I64, expected F32")
      #expect(
        message { () throws(Failure) in _ = try reader.values("b", as: Double.self) }
          == "\(path): tensor b has dtype I64, expected F64")
      var room: [Float] = [0, 0]
      unsafe room.withUnsafeMutableBufferPointer { room in
        guard let base = room.baseAddress else { return }
        #expect(
          message { () throws(Failure) in
            unsafe try reader.read("a", rows: 1..<3, into: base)
          } == "\(path): tensor a has 2 rows, asked for 1..<3")
      }
    }
  }

  /// What a header may hold of unusual but valid things.
  @Test(arguments: [
    (#"{}"#, 0, [] as [String]),
    (#" { } "#, 0, []),
    (#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4, ["a"]),
    (
      #"{"b":{"shape":[0,9],"dtype":"F64","data_offsets":[4,4]},"#
        + #""a":{"data_offsets":[0,4],"dtype":"U32","shape":[1]}}"#, 4, ["a", "b"]
    ),
    (
      #"{"\u00e9\"\ud83d\ude00\n":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]}}"#, 4,
      ["é\"😀\n"]
    ),
  ])
  func unusualHeadersAreRead(json: String, dataCount: Int, names: [String]) throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      try Files.replace(path, with: file(json, dataCount))
      #expect(try TensorFile.Reader(path: path).entries.map(\.name) == names)
    }
  }

  /// Names that JSON must escape survive a round trip, in the order of their bytes.
  @Test func namesAreEscaped() throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      let names = ["é", "a\"b\\c\n\r\t\u{1}\u{1F}", "z", "Z", "𝒳"]
      try TensorFile.write(
        path,
        names.map {
          unsafe TensorSlab(
            name: $0, shape: [0, 3], rows: 0..<0, base: nil as UnsafePointer<Float>?)
        }, group: SoloGroup())
      let read = try TensorFile.Reader(path: path).entries.map(\.name)
      #expect(Set(read) == Set(names))
      let size = try #require(Files.size(of: path))
      #expect(size % 64 == 0)
      let bytes = try Files.read(path).dropFirst(8)
      let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
      #expect(Set((object ?? [:]).keys) == Set(names))
    }
  }

  private func file(_ json: String, _ dataCount: Int) -> [UInt8] {
    let count = UInt64(json.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + Array(json.utf8)
      + [UInt8](repeating: 1, count: dataCount)
  }
}
