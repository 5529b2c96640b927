import Storage

extension TensorHeader {
  /// Most dimensions a tensor may have.
  private static let mostDimensions = 16

  /// Reads and checks the header of a file that nobody vouches for.
  ///
  /// Every byte after the header belongs to exactly one tensor, and every tensor is as long as its
  /// shape says; otherwise the file is refused.
  ///
  /// - Parameter file: The file.
  /// - Returns: The header, and the offset in the file at which the tensors' bytes start.
  /// - Throws: `Failure`: `data` naming the file and the tensor, `inputOutput` when the file cannot
  ///   be read.
  static func read(_ file: FileReader) throws(Failure) -> (header: TensorHeader, start: Int) {
    guard file.size >= 8 else {
      throw .data("\(file.path) is not a safetensors file: it has \(file.size) bytes")
    }
    let length = try file.read(8, at: 0).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(longest) else {
      throw .data("\(file.path): a header of \(length) bytes is longer than \(longest)")
    }
    guard length <= UInt64(file.size - 8) else {
      throw .data(
        "\(file.path): a header of \(length) bytes does not fit a file of \(file.size) bytes")
    }
    let start = 8 + Int(length)
    let json = try file.read(Int(length), at: 8)
    let header = try TensorHeader(parsing: json, path: file.path)
    try header.check(dataCount: file.size - start, path: file.path)
    return (header, start)
  }

  private init(parsing json: [UInt8], path: String) throws(Failure) {
    var scanner = JSONScanner(json, subject: "\(path): header")
    var entries: [TensorEntry] = []
    var metadata: [String: String] = [:]
    try scanner.object { scanner, name throws(Failure) in
      if name == Self.metadataKey {
        try scanner.object { scanner, key throws(Failure) in
          metadata[key] = try scanner.string()
        }
      } else {
        entries.append(try Self.entry(name, &scanner, path))
      }
    }
    try scanner.end()
    entries.sort {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }
    self.entries = entries
    self.metadata = metadata
  }

  private static func entry(
    _ name: String, _ scanner: inout JSONScanner, _ path: String
  ) throws(Failure) -> TensorEntry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { scanner, key throws(Failure) in
      switch key {
      case "dtype": type = try scanner.string()
      case "shape": shape = try scanner.integers(limit: mostDimensions)
      case "data_offsets": offsets = try scanner.integers(limit: 2)
      default: throw scanner.failure("unknown key \"\(excerpt(key))\" of tensor \(excerpt(name))")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
      throw .data(
        "\(path): tensor \(excerpt(name)) lacks a dtype, a shape or two rising data_offsets")
    }
    guard let element = TensorElement(rawValue: type) else {
      let known = TensorElement.allCases.map(\.rawValue).joined(separator: ", ")
      throw .data("\(path): tensor \(excerpt(name)) has dtype \(excerpt(type)); known are \(known)")
    }
    return TensorEntry(
      name: name, element: element, shape: shape, bytes: offsets[0]..<offsets[1])
  }

  private func check(dataCount: Int, path: String) throws(Failure) {
    var end = 0
    for entry in entries {
      guard entry.bytes.lowerBound == end else {
        throw .data(
          """
          \(path): tensor \(excerpt(entry.name)) starts at byte \(entry.bytes.lowerBound) of the data, \
          but the tensors before it end at \(end)
          """)
      }
      guard Self.byteCount(entry.shape, entry.element) == entry.bytes.count else {
        throw .data(
          """
          \(path): tensor \(excerpt(entry.name)) of shape \(list(entry.shape)) and dtype \
          \(entry.element.rawValue) cannot have \(entry.bytes.count) bytes
          """)
      }
      end = entry.bytes.upperBound
    }
    guard end == dataCount else {
      throw .data("\(path): the tensors take \(end) bytes, but the file holds \(dataCount)")
    }
  }
}
