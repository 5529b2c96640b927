package import Storage
import Synchronization

/// An opened dataset directory.
///
/// Opening reads only `dataset.json`. A shard is mapped and checked when it is first asked for, so
/// a rank pays for its own shards only; so is a dictionary. What was opened is kept.
package final class Dataset: Sendable {
  package let directory: String
  package let manifest: DatasetManifest
  /// Labeled training rows, exposures, and rows of valid and test, over all shards.
  package let trainRows: Int
  package let exposureRows: Int
  package let validRows: Int
  package let testRows: Int
  private let verify: Bool
  private let shards: Mutex<[Shard?]>
  private let dictionaries = Mutex<[String: IdentifierDictionary]>([:])

  private init(_ directory: String, _ manifest: DatasetManifest, verify: Bool) {
    self.directory = directory
    self.manifest = manifest
    self.verify = verify
    trainRows = manifest.shards.reduce(0) { $0 + $1.trainRows }
    exposureRows = manifest.shards.reduce(0) { $0 + $1.exposureRows }
    validRows = manifest.shards.reduce(0) { $0 + $1.validRows }
    testRows = manifest.shards.reduce(0) { $0 + $1.testRows }
    shards = Mutex([Shard?](repeating: nil, count: manifest.shardCount))
  }

  /// Opens a dataset.
  ///
  /// - Parameters:
  ///   - directory: What ``Preparation`` made.
  ///   - verify: Whether checksums are compared when files are mapped. Lengths and the ranges of
  ///     all values are checked in any case.
  /// - Returns: The dataset, with no shard mapped yet.
  /// - Throws: `Failure`: data when it is not a dataset, is newer than this program or damaged;
  ///   `inputOutput`.
  package static func open(
    _ directory: String, verify: Bool = true
  ) throws(Failure) -> Dataset {
    let manifest = try DatasetManifest.read(directory)
    // Memory is taken for as many rows as there are ids: a description that claims ids which the
    // files do not have is refused before.
    for name in ["users", "items"] {
      let path = "\(directory)/\(DatasetLayout.identifiers)/\(name).offsets"
      try requireSize(of: path, manifest.identifiers["\(name).offsets"]?.bytes ?? 0)
    }
    return Dataset(directory, manifest, verify: verify)
  }

  package var users: Int { manifest.users }
  package var items: Int { manifest.items }
  /// `S`, a power of two.
  package var shardCount: Int { manifest.shardCount }
  /// Shard `s` owns users `userStarts[s] ..< userStarts[s + 1]`; `S + 1` elements.
  package var userStarts: [Int] { manifest.userStarts }
  package var itemStarts: [Int] { manifest.itemStarts }
  /// SHA-256 of everything that defines the content.
  package var fingerprint: String { manifest.fingerprint }

  /// The users that a shard owns.
  package func userRange(ofShard shard: Int) -> Range<Int> {
    manifest.userStarts[shard]..<manifest.userStarts[shard + 1]
  }

  /// The item rows that a shard owns.
  package func itemRange(ofShard shard: Int) -> Range<Int> {
    manifest.itemStarts[shard]..<manifest.itemStarts[shard + 1]
  }

  /// The rows of a shard, mapped at the first call.
  ///
  /// - Throws: `Failure`: data naming a file that was altered, `inputOutput`.
  /// - Complexity: O(bytes of the shard) at the first call.
  package func shard(_ index: Int) throws(Failure) -> Shard {
    if let shard = shards.withLock({ $0[index] }) { return shard }
    let opened = try Shard(index, of: manifest, in: directory, verify: verify)
    // Two threads may have opened it; all use the one that came first.
    return shards.withLock { shards in
      let shard = shards[index] ?? opened
      shards[index] = shard
      return shard
    }
  }

  /// The external ids of users, mapped at the first call.
  ///
  /// - Throws: `Failure`: data naming a file that was altered, `inputOutput`.
  package func userIdentifiers() throws(Failure) -> IdentifierDictionary {
    try dictionary("users", count: users)
  }

  /// The external ids of items, mapped at the first call.
  ///
  /// - Throws: `Failure`: data naming a file that was altered, `inputOutput`.
  package func itemIdentifiers() throws(Failure) -> IdentifierDictionary {
    try dictionary("items", count: items)
  }

  private func dictionary(_ name: String, count: Int) throws(Failure) -> IdentifierDictionary {
    if let known = dictionaries.withLock({ $0[name] }) { return known }
    let path = "\(directory)/\(DatasetLayout.identifiers)/\(name)"
    guard let offsets = manifest.identifiers["\(name).offsets"],
      let bytes = manifest.identifiers["\(name).bytes"]
    else { throw .data("\(path): not described in \(DatasetManifest.fileName)") }
    let opened = try IdentifierDictionary(
      count: count, offsets: "\(path).offsets", offsets, bytes: "\(path).bytes", bytes,
      verify: verify)
    return dictionaries.withLock { dictionaries in
      let dictionary = dictionaries[name] ?? opened
      dictionaries[name] = dictionary
      return dictionary
    }
  }
}
