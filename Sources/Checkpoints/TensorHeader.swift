import Storage

/// One tensor of a file: what it is and where its bytes are.
package struct TensorEntry: Equatable, Sendable {
  package let name: String
  package let element: TensorElement
  /// Row-major; a tensor without dimensions is one number.
  package let shape: [Int]
  /// Its bytes, counted from the end of the header.
  package let bytes: Range<Int>

  /// The first dimension, or 1 without dimensions.
  package var rows: Int { shape.first ?? 1 }
  /// Elements of one row: the product of all dimensions but the first.
  package var columns: Int { shape.dropFirst().reduce(1, *) }
}

/// The first part of a safetensors file: `N` in 8 little-endian bytes, then `N` bytes of JSON.
///
///     {"__metadata__":{"key":"value"},
///      "name":{"dtype":"F32","shape":[rows,columns],"data_offsets":[begin,end]}, …}
///
/// The tensors' bytes follow without gaps. Headers written here are in one form only: tensors and
/// metadata by the bytes of their names, no blanks but those after the last brace that make the
/// tensors start at a multiple of 64 bytes. So equal tensors give equal files.
struct TensorHeader: Sendable {
  /// Longest JSON that is read; models have a few hundred tensors of some 100 bytes each.
  static let longest = 4 << 20
  static let metadataKey = "__metadata__"
  private static let alignment = 64

  /// In the order of their bytes in the file.
  let entries: [TensorEntry]
  let metadata: [String: String]

  /// Lays out tensors one after the other by the bytes of their names.
  ///
  /// - Throws: `Failure` of kind `software` when a name is empty, reserved or used twice, or when
  ///   a tensor is larger than any file.
  init(
    laying tensors: [(name: String, element: TensorElement, shape: [Int])],
    metadata: [String: String]
  ) throws(Failure) {
    var entries: [TensorEntry] = []
    var end = 0
    let ordered = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    for tensor in ordered {
      guard !tensor.name.isEmpty, tensor.name != Self.metadataKey else {
        throw .software("\"\(tensor.name)\" cannot be the name of a tensor")
      }
      guard tensor.name != entries.last?.name else {
        throw .software("two tensors are named \(tensor.name)")
      }
      guard let count = Self.byteCount(tensor.shape, tensor.element), count <= Int.max - end else {
        throw .software("tensor \(tensor.name) of shape \(list(tensor.shape)) is too large")
      }
      entries.append(
        TensorEntry(
          name: tensor.name, element: tensor.element, shape: tensor.shape,
          bytes: end..<end + count))
      end += count
    }
    self.entries = entries
    self.metadata = metadata
  }

  /// Bytes of all tensors together.
  var dataCount: Int { entries.last?.bytes.upperBound ?? 0 }

  /// The length and the JSON, as they stand in the file.
  func encoded() -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { "\(jsonLiteral($0.key)):\(jsonLiteral($0.value))" }
      members.append("\"\(Self.metadataKey)\":{\(pairs.joined(separator: ","))}")
    }
    for entry in entries {
      let shape = entry.shape.map(String.init).joined(separator: ",")
      members.append(
        """
        \(jsonLiteral(entry.name)):{"dtype":"\(entry.element.rawValue)","shape":[\(shape)],\
        "data_offsets":[\(entry.bytes.lowerBound),\(entry.bytes.upperBound)]}
        """)
    }
    var json = Array("{\(members.joined(separator: ","))}".utf8)
    while (8 + json.count) % Self.alignment != 0 { json.append(UInt8(ascii: " ")) }
    let count = UInt64(json.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + json
  }

  /// Bytes of a tensor, or `nil` when the number does not fit.
  static func byteCount(_ shape: [Int], _ element: TensorElement) -> Int? {
    // A zero anywhere makes the tensor empty, however large the other dimensions claim to be;
    // columns are still multiplied later, so every partial product must fit.
    var count = element.size
    for dimension in shape.reversed() where dimension != 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow else { return nil }
      count = product
    }
    return shape.contains(0) ? 0 : count
  }
}

/// A shape as messages show it: `(6040, 32)`.
func list(_ shape: [Int]) -> String {
  "(\(shape.map(String.init).joined(separator: ", ")))"
}
