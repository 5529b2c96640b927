package import Fabric
import Storage

/// A checkpoint that was found complete and unaltered, open for reading.
package struct Checkpoint: Sendable {
  /// Its name in the store: `step-000000001234` or `best`.
  package let name: String
  /// Its directory.
  package let path: String
  /// The name of the file of ``model``.
  package var modelName: String { Manifest.modelName }
  /// The step after which it was written.
  package let step: Int
  /// The SHA-256 of the whole of `model.safetensors`, as recorded when it was written.
  package let modelSHA256: String
  /// The parameters.
  package let model: TensorFile.Reader
  /// The state of the optimizers; a best model has none.
  package let optimizer: TensorFile.Reader?
  /// The content of `state.json`.
  package let state: [UInt8]

  /// Opens one checkpoint directory and verifies every byte of it. A collective.
  ///
  /// Nothing on the disk is changed. A directory that is replaced meanwhile by another process is
  /// either read as it was or refused.
  ///
  /// - Parameters:
  ///   - path: The directory; all ranks see it under this path.
  ///   - group: The ranks.
  /// - Throws: `Failure` on all ranks when one refuses: `data` naming the file when it is missing,
  ///   cut short or altered, `inputOutput` when it cannot be read.
  /// - Complexity: every byte is read once by one of the ranks; about five collectives a file.
  package init(path: String, group: any ProcessGroup) throws {
    self = try Self.open(path, group: group).get()
  }

  /// As `init`, with what all ranks agree to refuse kept apart from a group that is broken.
  static func open(
    _ path: String, group: any ProcessGroup
  ) throws -> Result<Checkpoint, Failure> {
    var bytes: [UInt8] = []
    let read = try group.agree {
      if group.rank == 0 { bytes = try readManifest(path) }
    }
    if case .failure(let failure) = read { return .failure(failure) }
    let shared = try group.broadcast(bytes, from: 0)
    let opened = try group.agree {
      let manifest = try Manifest(parsing: shared)
      return (manifest, try openFiles(path, manifest))
    }
    let (manifest, files): (Manifest, [(name: String, file: FileReader)])
    switch opened {
    case .success(let value): (manifest, files) = value
    case .failure(let failure): return .failure(failure)
    }
    for (name, file) in files {
      let actual: FileRecord
      switch try FileRecord.compute(file, group: group) {
      case .success(let record): actual = record
      case .failure(let failure): return .failure(failure)
      }
      if let expected = manifest.files[name], expected != actual {
        return .failure(
          .data(
            """
            \(name): checksum \(digits(actual.checksum)) differs from that in \
            \(Manifest.fileName), \(digits(expected.checksum))
            """))
      }
    }
    let byName = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0.file) })
    return try group.agree { try Checkpoint(path, manifest, byName) }
  }

  private init(
    _ path: String, _ manifest: Manifest, _ files: [String: FileReader]
  ) throws(Failure) {
    guard let modelFile = files[Manifest.modelName], let stateFile = files[Manifest.stateName]
    else { throw .data("\(Manifest.fileName) does not name all files") }
    guard stateFile.size <= Manifest.longestState else {
      throw .data("\(Manifest.stateName) has \(stateFile.size) bytes, more than are ever read")
    }
    self.path = path
    name = Files.name(of: path)
    step = manifest.step
    modelSHA256 = manifest.modelSHA256
    model = try TensorFile.Reader(file: modelFile)
    if let file = files[Manifest.optimizerName] {
      optimizer = try TensorFile.Reader(file: file)
    } else {
      optimizer = nil
    }
    state = try stateFile.read(stateFile.size, at: 0)
  }

  private static func readManifest(_ path: String) throws(Failure) -> [UInt8] {
    let manifest = "\(path)/\(Manifest.fileName)"
    guard Files.exists(manifest) else {
      throw .data("\(Manifest.fileName) is missing: the checkpoint is not complete")
    }
    let file = try FileReader(path: manifest)
    guard file.size <= Manifest.longest else {
      throw .data("\(Manifest.fileName) has \(file.size) bytes, more than any that is written")
    }
    return try file.read(file.size, at: 0)
  }

  private static func openFiles(
    _ path: String, _ manifest: Manifest
  ) throws(Failure) -> [(name: String, file: FileReader)] {
    var files: [(name: String, file: FileReader)] = []
    for (name, record) in manifest.files.sorted(by: { $0.key < $1.key }) {
      guard Files.exists("\(path)/\(name)") else { throw .data("\(name) is missing") }
      let file = try FileReader(path: "\(path)/\(name)")
      guard file.size == record.bytes else {
        throw .data("\(name) has \(file.size) bytes, expected \(record.bytes)")
      }
      files.append((name, file))
    }
    return files
  }
}
