import Checkpoints
import Fabric
import Foundation
import Storage
import Testing

/// Offsets beyond 4 GiB and element counts beyond 2³¹, in files with holes that take no space.
@Suite struct LargeFileTests {
  /// 5 GiB of factors and, behind them, a tensor of three numbers.
  private static let rows = 5 << 22
  private static let columns = 64
  private static let dataCount = rows * columns * 4

  private func header() -> [UInt8] {
    let json =
      #"{"big":{"dtype":"F32","shape":[\#(Self.rows),\#(Self.columns)],"#
      + #""data_offsets":[0,\#(Self.dataCount)]},"small":{"dtype":"U32","shape":[3],"#
      + #""data_offsets":[\#(Self.dataCount),\#(Self.dataCount + 12)]}}"#
    return (0..<8).map { UInt8(truncatingIfNeeded: json.utf8.count >> (8 * $0)) } + Array(json.utf8)
  }

  @Test func tensorsBeyondFourGiBAreWrittenAndRead() throws {
    try #require(Self.dataCount > 1 << 32)
    try withDirectory { root in
      let path = root + "/big.safetensors"
      let header = header()
      let last = (0..<2 * Self.columns).map { Float($0) + 0.5 }
      let small: [UInt32] = [7, 8, .max]
      let size = header.count + Self.dataCount + 12
      let file = try SoloGroup().open(path, .create(size: size))
      unsafe try header.withUnsafeBytes { unsafe try file.write($0, at: 0) }
      unsafe try last.withUnsafeBytes {
        unsafe try file.write($0, at: header.count + Self.dataCount - $0.count)
      }
      unsafe try small.withUnsafeBytes { unsafe try file.write($0, at: size - 12) }
      try file.close()

      let reader = try TensorFile.Reader(path: path)
      #expect(try reader.values("small", as: UInt32.self) == small)
      // Apart in memory, and packed.
      for stride in [Self.columns + 8, Self.columns] {
        var values = [Float](repeating: -1, count: 3 * stride)
        unsafe try values.withUnsafeMutableBufferPointer {
          unsafe try reader.read(
            "big", rows: Self.rows - 3..<Self.rows, into: #require($0.baseAddress), stride: stride)
        }
        #expect(values[..<Self.columns].allSatisfy { $0 == 0 })
        for row in 0..<2 {
          let start = (row + 1) * stride
          #expect(
            Array(values[start..<start + Self.columns])
              == Array(last[row * Self.columns..<(row + 1) * Self.columns]))
        }
      }
      let beyond = #expect(throws: Failure.self) {
        var value: Float = 0
        unsafe try reader.read("big", rows: Self.rows..<Self.rows + 1, into: &value)
      }
      #expect(beyond?.message.contains("has \(Self.rows) rows, asked for") == true)
    }
  }

  /// A header that claims more than the file has, however large the claim.
  @Test(arguments: [1 << 31, 1 << 32, 1 << 40, 1 << 60])
  func claimsWithoutBytesAreRefused(rows: Int) throws {
    try withDirectory { root in
      let path = root + "/x.safetensors"
      let json =
        #"{"a":{"dtype":"F32","shape":[\#(rows)],"data_offsets":[0,\#(4 * rows)]}}"#
      let length = (0..<8).map { UInt8(truncatingIfNeeded: json.utf8.count >> (8 * $0)) }
      try Files.replace(path, with: length + Array(json.utf8) + [0, 0, 0, 0])
      let failure = #expect(throws: Failure.self) { try TensorFile.Reader(path: path) }
      #expect(
        failure?.message == "\(path): the tensors take \(4 * rows) bytes, but the file holds 4")
    }
  }
}
