import Checkpoints
import Storage

/// A safetensors file: as it is, or a header with as many bytes behind it as it asks for.
struct TensorTarget: FuzzTarget {
  private let sandbox: Sandbox
  /// More than what headers of the seeds ask for.
  private static let mostData = 1 << 16

  init(_ sandbox: Sandbox) { self.sandbox = sandbox }

  mutating func run(_ input: Input) throws {
    var input = input
    let choice = input.byte()
    var bytes = input.rest
    if choice % 2 == 1 {
      let dataCount = input.number(bytes: 2) % Self.mostData
      let json = input.rest
      let length = (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) }
      bytes = length + json + [UInt8](repeating: 0x7F, count: dataCount)
    }
    let path = try sandbox.write(bytes, to: "x.safetensors")
    try reading {
      let reader = try TensorFile.Reader(path: path)
      for entry in reader.entries { try read(entry, of: reader) }
    }
  }

  private func read(_ entry: TensorEntry, of reader: TensorFile.Reader) throws {
    try reader.require(entry.name, shape: entry.shape, entry.element)
    switch entry.element {
    case .float32: try read(entry, of: reader, as: Float.self)
    case .float64: try read(entry, of: reader, as: Double.self)
    case .int64: try read(entry, of: reader, as: Int64.self)
    case .uint32: try read(entry, of: reader, as: UInt32.self)
    }
  }

  private func read<Scalar: TensorScalar>(
    _ entry: TensorEntry, of reader: TensorFile.Reader, as type: Scalar.Type
  ) throws {
    let values = try reader.values(entry.name, as: type)
    // Rows of an empty tensor may be as many as the header likes.
    guard !values.isEmpty, entry.rows > 0 else { return }
    let rows = entry.rows / 2..<entry.rows
    let stride = entry.columns + 1
    let target = UnsafeMutablePointer<Scalar>.allocate(capacity: rows.count * stride)
    defer { unsafe target.deallocate() }
    unsafe try reader.read(entry.name, rows: rows, into: target, stride: stride)
  }
}
