import Foundation
import Storage

extension DatasetManifest {
  static let fileName = "dataset.json"
  /// Counts above this are damage: no sum of 4096 of them, or of their bytes, overflows.
  private static let largestCount = 1 << 44
  /// The longest `dataset.json` that is read; one of 4096 shards has about 10 MB.
  private static let longest = 64 << 20

  /// The bytes of `dataset.json`; the same manifest gives the same bytes.
  ///
  /// - Throws: `Failure` of kind software when a value has no JSON form.
  func encoded() throws(Failure) -> [UInt8] { try encodedJSON(self) }

  /// Reads and checks the description of a dataset.
  ///
  /// - Parameter directory: The dataset.
  /// - Returns: A manifest whose counts, lengths and fingerprint fit together.
  /// - Throws: `Failure`: data when it is not a dataset, is of a newer version, or contradicts
  ///   itself; `inputOutput` when it cannot be read.
  static func read(_ directory: String) throws(Failure) -> DatasetManifest {
    let path = "\(directory)/\(fileName)"
    guard Files.size(of: path) != nil else {
      throw .data("\(directory) is not a dataset: \(fileName) is missing; make one with prepare")
    }
    let bytes = Data(try Files.read(path, atMost: longest))
    let header: Header = try decode(bytes, path)
    guard header.format == formatName else {
      throw .data("\(path): the format is '\(excerpt(header.format))', not \(formatName)")
    }
    guard header.version <= currentVersion else {
      throw .data(
        "\(path): format version \(header.version) is newer than this program understands "
          + "(\(currentVersion)); use a newer program or prepare the dataset again")
    }
    let manifest: DatasetManifest = try decode(bytes, path)
    if let contradiction = manifest.contradiction() {
      throw .data("\(path): \(contradiction); prepare the dataset again")
    }
    return manifest
  }

  private struct Header: Decodable {
    let format: String
    let version: Int
  }

  private static func decode<Value: Decodable>(
    _ bytes: Data, _ path: String
  ) throws(Failure) -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: bytes)
    } catch {
      throw .data("\(path): not the description of a dataset: \(reason(error))")
    }
  }

  /// What a decoder has to say, in one line.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "unreadable" }
    func place(_ context: DecodingError.Context) -> String {
      let keys = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
      return keys.isEmpty ? "the text" : "'\(keys.joined(separator: "."))'"
    }
    switch error {
    case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
    case .valueNotFound(_, let context): return "\(place(context)) has no value"
    case .typeMismatch(_, let context): return "\(place(context)) has the wrong type"
    case .dataCorrupted(let context): return "\(place(context)) is damaged"
    @unknown default: return "unreadable"
    }
  }

  /// What does not fit together, or `nil`. Nothing here can overflow, whatever the file says.
  private func contradiction() -> String? {
    let most = IdentifierBuilder.maximumCount
    guard version >= 1 else { return "the version is \(version)" }
    guard (rule.unrated != nil) == (version > 1), (rule.split != nil) == (version > 1) else {
      return "the rule is not one of version \(version)"
    }
    guard (1...most).contains(users), (1...most).contains(items) else {
      return "the numbers of users and items, \(users) and \(items), are out of range"
    }
    guard (1...PreparationOptions.maximumShards).contains(shardCount),
      shardCount & (shardCount - 1) == 0, shards.count == shardCount
    else { return "the number of shards is out of range" }
    guard Self.isPartition(userStarts, of: users, into: shardCount),
      Self.isPartition(itemStarts, of: items, into: shardCount)
    else { return "userStarts or itemStarts do not cut the ids into \(shardCount) shards" }
    let hasSequences = shards[0].sequenceItems != nil
    guard version > 1 || !hasSequences,
      shards.allSatisfy({ ($0.sequenceItems != nil) == hasSequences })
    else { return "some shards have sequences that should have none" }
    for (index, shard) in shards.enumerated() {
      let counts = [
        shard.trainRows, shard.exposureRows, shard.metPairs, shard.validRows, shard.testRows,
        shard.sequenceItems ?? 0,
      ]
      guard counts.allSatisfy({ (0...Self.largestCount).contains($0) }) else {
        return "a count of shard \(index) is out of range"
      }
      guard shard.sequenceItems == nil || shard.trainRows <= Int(UInt32.max) else {
        return "shard \(index) has \(shard.trainRows) labeled rows; sequences tell "
          + "\(UInt32.max) apart"
      }
      for column in Column.all(of: shard) {
        let expected = column.bytes(shard, users: userStarts[index + 1] - userStarts[index])
        guard shard.columns[column.rawValue]?.bytes == expected else {
          return "\(column.rawValue) of shard \(index) does not have \(expected) bytes"
        }
      }
    }
    for (name, count) in [("users", users), ("items", items)] {
      guard identifiers["\(name).offsets"]?.bytes == 8 * (count + 1),
        let bytes = identifiers["\(name).bytes"]?.bytes, (0...Self.largestCount).contains(bytes)
      else { return "the dictionary of \(name) does not hold \(count) ids" }
    }
    guard fingerprint == computedFingerprint() else {
      return "the fingerprint does not belong to the rest of the file"
    }
    return nil
  }

  private static func isPartition(_ starts: [Int], of count: Int, into parts: Int) -> Bool {
    starts.count == parts + 1 && starts.first == 0 && starts.last == count
      && zip(starts, starts.dropFirst()).allSatisfy { $0 <= $1 }
  }
}

/// A value as JSON with sorted keys and a final line feed.
func encodedJSON(_ value: some Encodable) throws(Failure) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  do {
    return [UInt8](try encoder.encode(value)) + [Ascii.newline]
  } catch {
    throw .software("cannot write a description as JSON: \(error.localizedDescription)")
  }
}
