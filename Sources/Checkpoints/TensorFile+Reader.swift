package import Storage

extension TensorFile {
  /// Reads tensors, or some rows of them, from a file that nobody vouches for.
  ///
  /// Opening reads the header and checks it completely; only the bytes of the rows asked for are
  /// read later. Every rank opens the file by itself; nothing here is a collective.
  package final class Reader: Sendable {
    /// The file.
    package let path: String
    /// The tensors in the order of the file.
    package let entries: [TensorEntry]
    /// The strings of the header.
    package let metadata: [String: String]
    private let file: FileReader
    private let start: Int
    private let places: [String: Int]

    /// Most bytes read at once when rows lie apart in memory.
    private static let roundSize = 8 << 20

    /// Opens a file and checks its header.
    ///
    /// - Throws: `Failure`: `data` naming file and tensor when the header is not valid or does not
    ///   fit the file, `inputOutput` when it cannot be read.
    package convenience init(path: String) throws(Failure) {
      try self.init(file: try FileReader(path: path))
    }

    /// Checks the header of a file that is open already.
    init(file: FileReader) throws(Failure) {
      let (header, start) = try TensorHeader.read(file)
      self.file = file
      self.start = start
      path = file.path
      entries = header.entries
      metadata = header.metadata
      places = Dictionary(
        entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The tensor of this name.
    ///
    /// - Throws: `Failure` of kind `data` when there is none.
    package func entry(_ name: String) throws(Failure) -> TensorEntry {
      guard let place = places[name] else { throw .data("\(path) has no tensor \(name)") }
      return entries[place]
    }

    /// Checks that a tensor is what the caller takes it for.
    ///
    /// - Parameters:
    ///   - name: The tensor.
    ///   - shape: The expected shape.
    ///   - element: The expected number type.
    /// - Throws: `Failure` of kind `data` when the tensor is missing or differs.
    package func require(
      _ name: String, shape: [Int], _ element: TensorElement = .float32
    ) throws(Failure) {
      let entry = try entry(name)
      guard entry.shape == shape else {
        throw .data(
          """
          \(path): tensor \(name) has shape \(list(entry.shape)), expected \(list(shape))
          """)
      }
      try require(entry, element)
    }

    /// Reads rows of a tensor into memory in which they may lie apart.
    ///
    /// - Parameters:
    ///   - name: The tensor.
    ///   - rows: The rows, inside its first dimension; may be empty.
    ///   - base: Where the first of them goes. What lies between rows is left alone.
    ///   - stride: Elements between row starts in memory; one row's length when left out.
    /// - Throws: `Failure`: `data` when the tensor is missing, of another number type, or has no
    ///   such rows; `inputOutput` when the file cannot be read.
    /// - Complexity: reads the bytes of `rows` only; up to 8 MiB of memory if rows lie apart.
    package func read<Scalar: TensorScalar>(
      _ name: String, rows: Range<Int>, into base: UnsafeMutablePointer<Scalar>,
      stride: Int? = nil
    ) throws(Failure) {
      let entry = try entry(name)
      try require(entry, Scalar.tensorElement)
      guard rows.lowerBound >= 0, rows.upperBound <= entry.rows else {
        throw .data("\(path): tensor \(name) has \(entry.rows) rows, asked for \(rows)")
      }
      let stride = stride ?? entry.columns
      precondition(stride >= entry.columns, "rows must not overlap in memory")
      let size = entry.columns * entry.element.size
      guard size > 0, !rows.isEmpty else { return }
      let place = start + entry.bytes.lowerBound + rows.lowerBound * size
      let target = UnsafeMutableRawPointer(base)
      guard stride != entry.columns, rows.count > 1 else {
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: target, count: rows.count * size)
        return unsafe try file.read(into: bytes, at: place)
      }
      let step = max(1, Self.roundSize / size)
      for first in Swift.stride(from: 0, to: rows.count, by: step) {
        let count = min(step, rows.count - first)
        let packed = try file.read(count * size, at: place + first * size)
        unsafe packed.withUnsafeBytes { bytes in
          guard let source = bytes.baseAddress else { return }
          for row in 0..<count {
            unsafe (target + (first + row) * stride * entry.element.size).copyMemory(
              from: source + row * size, byteCount: size)
          }
        }
      }
    }

    /// The whole of a tensor, rows packed: for small ones.
    ///
    /// - Throws: `Failure`: `data` when the tensor is missing or of another number type,
    ///   `inputOutput` when the file cannot be read.
    package func values<Scalar: TensorScalar>(
      _ name: String, as type: Scalar.Type = Float.self
    ) throws(Failure) -> [Scalar] {
      let entry = try entry(name)
      try require(entry, Scalar.tensorElement)
      let bytes = try file.read(entry.bytes.count, at: start + entry.bytes.lowerBound)
      return unsafe bytes.withUnsafeBytes { bytes in
        (0..<bytes.count / entry.element.size).map {
          unsafe bytes.loadUnaligned(fromByteOffset: $0 * entry.element.size, as: Scalar.self)
        }
      }
    }

    private func require(_ entry: TensorEntry, _ element: TensorElement) throws(Failure) {
      guard entry.element == element else {
        throw .data(
          """
          \(path): tensor \(entry.name) has dtype \(entry.element.rawValue), \
          expected \(element.rawValue)
          """)
      }
    }
  }
}
