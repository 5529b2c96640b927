import Foundation
import Storage
import Testing

/// A checkpoint whose files somebody changed who also knows how to write its manifest.
struct SealedCheckpoint {
  /// The directory.
  let path: String

  /// Replaces a file and writes the manifest that belongs to what is there now, as
  /// docs/formats.md describes it.
  func replace(_ name: String, with content: [UInt8]) throws {
    try write(content, to: "\(path)/\(name)")
    let old = try json(text("\(path)/manifest.json"))
    let step = try #require(old["step"] as? Int)
    let digest = try #require(old["model_sha256"] as? String)
    let names = try #require(old["files"] as? [String: Any]).keys.sorted()
    let files = try names.map { name in
      let content = try bytes("\(path)/\(name)")
      return "    \"\(name)\": {\"bytes\": \(content.count), \"xxh64\": \"\(checksum(content))\"}"
    }
    let head = """
      {
        "format": "inverse-checkpoint",
        "version": 1,
        "step": \(step),
        "model_sha256": "\(digest)",
        "block_bytes": \(Self.block),
        "files": {
      \(files.joined(separator: ",\n"))
        },

      """
    try write(
      head + "  \"checksum\": \"\(hash(Array(head.utf8)))\"\n}\n", to: "\(path)/manifest.json")
  }

  private static let block = 4_194_304

  /// Of the checksums of the file's blocks.
  private func checksum(_ content: [UInt8]) -> String {
    var words: [UInt8] = []
    for start in stride(from: 0, to: content.count, by: Self.block) {
      let block = content[start..<min(start + Self.block, content.count)]
      let word = unsafe Array(block).withUnsafeBytes { unsafe XXHash64.hash($0) }
      words += (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
    return hash(words)
  }

  private func hash(_ content: [UInt8]) -> String {
    let digits = String(
      unsafe content.withUnsafeBytes { unsafe XXHash64.hash($0) }, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// A safetensors file in its two parts.
struct TensorText {
  /// The JSON, without the blanks at its end.
  var header: String
  var data: [UInt8]

  init(_ file: [UInt8]) {
    let count = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    header = String(decoding: file[8..<8 + count], as: UTF8.self)
    data = Array(file[(8 + count)...])
  }

  /// The file; with `length`, one whose header claims another length.
  func file(length: UInt64? = nil) -> [UInt8] {
    let json = Array(header.utf8)
    let count = length ?? UInt64(json.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + json + data
  }

  /// With a part of the header replaced.
  func replacing(_ part: String, with other: String) throws -> TensorText {
    var changed = self
    let range = try #require(header.range(of: part), "\(part) is not in \(header)")
    changed.header.replaceSubrange(range, with: other)
    return changed
  }
}
