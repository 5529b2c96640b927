import Storage

/// What a checkpoint consists of: the file that is written last and read first.
///
///     {
///       "format": "inverse-checkpoint",
///       "version": 1,
///       "step": 1234,
///       "model_sha256": "…64 hexadecimal digits: the whole of model.safetensors…",
///       "block_bytes": 4194304,
///       "files": {
///         "model.safetensors": {"bytes": 123, "xxh64": "…16 hexadecimal digits…"},
///         …
///       },
///       "checksum": "…16 hexadecimal digits…"
///     }
///
/// `xxh64` is that of ``FileRecord``; `checksum` is the XXH64 of all bytes before its line. There is
/// exactly one way to write a manifest, and only that is accepted, so an altered byte is noticed
/// wherever it is. The digest is the identity of the model; it is not computed again when a
/// checkpoint is opened, because the checksums find accidental damage thirty times faster.
struct Manifest: Equatable, Sendable {
  static let fileName = "manifest.json"
  static let modelName = "model.safetensors"
  static let optimizerName = "optimizer.safetensors"
  static let stateName = "state.json"
  /// Longest manifest that is read.
  static let longest = 1 << 16
  /// Longest `state.json` that is read.
  static let longestState = 64 << 20
  private static let format = "inverse-checkpoint"
  private static let version = 1
  /// The files that a manifest may name, and whether it must.
  private static let known = [modelName: true, optimizerName: false, stateName: true]

  var step: Int
  var modelSHA256: String
  /// By file name.
  var files: [String: FileRecord]

  init(step: Int, modelSHA256: String, files: [String: FileRecord]) {
    self.step = step
    self.modelSHA256 = modelSHA256
    self.files = files
  }

  /// The one form in which this manifest is written.
  func encoded() -> [UInt8] {
    let members = files.sorted { $0.key < $1.key }.map { name, record in
      """
          \(jsonLiteral(name)): {"bytes": \(record.bytes), "xxh64": "\(digits(record.checksum))"}
      """
    }
    let text = """
      {
        "format": "\(Self.format)",
        "version": \(Self.version),
        "step": \(step),
        "model_sha256": \(jsonLiteral(modelSHA256)),
        "block_bytes": \(FileRecord.blockSize),
        "files": {
      \(members.joined(separator: ",\n"))
        },

      """
    let bytes = Array(text.utf8)
    let checksum = unsafe bytes.withUnsafeBytes { unsafe XXHash64.hash($0) }
    return bytes + Array("  \"checksum\": \"\(digits(checksum))\"\n}\n".utf8)
  }

  /// Reads a manifest that nobody vouches for.
  ///
  /// - Parameter bytes: The whole file.
  /// - Throws: `Failure` of kind `data` when it is not a manifest of this version, names files
  ///   that do not belong to a checkpoint, or was altered.
  init(parsing bytes: [UInt8]) throws(Failure) {
    var scanner = JSONScanner(bytes, subject: Self.fileName)
    var manifest = Manifest(step: -1, modelSHA256: "", files: [:])
    try scanner.object { scanner, key throws(Failure) in
      switch key {
      case "format":
        guard try scanner.string() == Self.format else {
          throw .data("\(Self.fileName) is not that of an inverse checkpoint")
        }
      case "version":
        let version = try scanner.integer()
        guard version == Self.version else {
          throw .data(
            """
            \(Self.fileName) has version \(version); this program reads version \(Self.version)
            """)
        }
      case "step": manifest.step = try scanner.integer()
      case "model_sha256": manifest.modelSHA256 = try scanner.string()
      case "block_bytes": _ = try scanner.integer()
      case "files":
        try scanner.object { scanner, name throws(Failure) in
          manifest.files[name] = try Self.record(&scanner)
        }
      case "checksum": _ = try scanner.string()
      default: throw scanner.failure("unknown key \"\(excerpt(key))\"")
      }
    }
    // Covers whatever was not compared above: checksum, missing keys, order, blanks.
    guard manifest.encoded() == bytes else {
      throw .data("\(Self.fileName) was altered: it does not match its own checksum")
    }
    for (name, isRequired) in Self.known where isRequired && manifest.files[name] == nil {
      throw .data("\(Self.fileName) does not name \(name)")
    }
    for name in manifest.files.keys where Self.known[name] == nil {
      throw .data("\(Self.fileName) names \(excerpt(name)), which is no part of a checkpoint")
    }
    self = manifest
  }

  private static func record(_ scanner: inout JSONScanner) throws(Failure) -> FileRecord {
    var record = FileRecord(bytes: 0, checksum: 0)
    try scanner.object { scanner, key throws(Failure) in
      switch key {
      case "bytes": record.bytes = try scanner.integer()
      case "xxh64":
        guard let checksum = UInt64(try scanner.string(), radix: 16) else {
          throw scanner.failure("no checksum of hexadecimal digits")
        }
        record.checksum = checksum
      default: throw scanner.failure("unknown key \"\(excerpt(key))\"")
      }
    }
    return record
  }
}

/// A checksum as 16 hexadecimal digits.
func digits(_ checksum: UInt64) -> String {
  let text = String(checksum, radix: 16)
  return String(repeating: "0", count: 16 - text.count) + text
}
