import Foundation
import Storage

/// The length and the checksum of one file of a dataset.
package struct ColumnManifest: Codable, Equatable, Sendable {
  package let bytes: Int
  /// XXH64 as 16 hexadecimal digits.
  package let xxh64: String

  init(bytes: Int, checksum: UInt64) {
    self.bytes = bytes
    xxh64 = hexadecimal(checksum)
  }
}

/// A log that a dataset was made from.
package struct SourceManifest: Codable, Equatable, Sendable {
  /// `train`, `valid`, `test` or `interactions`.
  package let role: String
  /// The file's name without its folder.
  package let name: String
  package let bytes: Int
  package let rows: Int
  /// XXH64 of the file as 16 hexadecimal digits.
  package let xxh64: String

  init(role: String, name: String, bytes: Int, rows: Int, checksum: UInt64) {
    self.role = role
    self.name = name
    self.bytes = bytes
    self.rows = rows
    xxh64 = hexadecimal(checksum)
  }
}

/// How rows became labels and splits.
package struct LabelRule: Codable, Equatable, Sendable {
  package let positiveFrom: Double
  package let labelFraction: Double
  package let thinned: ThinnedRows
  /// Shares of train, valid and test when one log was split; `nil` when three were given.
  package let fractions: [Double]?
  package let seed: UInt64
  /// What rows without a rating say, and how rows came into splits; `nil` in version 1, which knows
  /// exposures only, and given splits and fractions.
  package let unrated: UnratedRows?
  package let split: SplitRule?
}

/// How rows came into splits.
package enum SplitRule: String, Codable, Sendable {
  /// The logs were split already.
  case given
  case fractions
  case leaveOneOut = "leave-one-out"
}

/// The counts and the files of one shard.
package struct ShardManifest: Codable, Equatable, Sendable {
  package var trainRows = 0
  package var exposureRows = 0
  /// Distinct (user, item) pairs of all training rows.
  package var metPairs = 0
  package var validRows = 0
  package var testRows = 0
  /// Positive training rows in the users' sequences; `nil` when the dataset keeps no order in time.
  package var sequenceItems: Int?
  /// By the names of ``Column``.
  package var columns: [String: ColumnManifest] = [:]

  init() {}
}

/// The columns of a shard, as their files are called.
package enum Column: String, CaseIterable, Sendable {
  case trainUsers = "train.users"
  case trainItems = "train.items"
  case trainLabels = "train.labels"
  case exposureOffsets = "exposures.offsets"
  case exposureItems = "exposures.items"
  case metOffsets = "met.offsets"
  case metItems = "met.items"
  case validUsers = "valid.users"
  case validItems = "valid.items"
  case validLabels = "valid.labels"
  case testUsers = "test.users"
  case testItems = "test.items"
  case testLabels = "test.labels"
  case trainPositions = "train.positions"
  case sequenceOffsets = "sequence.offsets"
  case sequenceItems = "sequence.items"
  case sequenceRows = "sequence.rows"

  /// Those of a dataset that keeps an order in time, beside the others.
  static let ofSequences: Set<Column> = [
    .trainPositions, .sequenceOffsets, .sequenceItems, .sequenceRows,
  ]

  /// The columns of a shard.
  static func all(of shard: ShardManifest) -> [Column] {
    allCases.filter { shard.sequenceItems != nil || !ofSequences.contains($0) }
  }

  /// The length of the file in bytes that the counts of a shard ask for.
  func bytes(_ shard: ShardManifest, users: Int) -> Int {
    switch self {
    case .trainUsers, .trainItems: 4 * shard.trainRows
    case .trainLabels: shard.trainRows
    case .exposureOffsets, .metOffsets: 8 * (users + 1)
    case .exposureItems: 4 * shard.exposureRows
    case .metItems: 4 * shard.metPairs
    case .validUsers, .validItems: 4 * shard.validRows
    case .validLabels: shard.validRows
    case .testUsers, .testItems: 4 * shard.testRows
    case .testLabels: shard.testRows
    case .trainPositions: 4 * shard.trainRows
    case .sequenceOffsets: 8 * (users + 1)
    case .sequenceItems, .sequenceRows: 4 * (shard.sequenceItems ?? 0)
    }
  }
}

/// The content of `dataset.json`: everything about a dataset but its columns.
package struct DatasetManifest: Codable, Equatable, Sendable {
  package static let formatName = "inverse-dataset"
  /// The newest version that this program reads and writes.
  package static let currentVersion = 2

  package var format = DatasetManifest.formatName
  /// The oldest that can say what this one says.
  package var version: Int
  package var users: Int
  package var items: Int
  /// `S`, a power of two.
  package var shardCount: Int
  /// Shard `s` owns users `userStarts[s] ..< userStarts[s + 1]`; `S + 1` elements.
  package var userStarts: [Int]
  package var itemStarts: [Int]
  package var rule: LabelRule
  package var sources: [SourceManifest]
  package var shards: [ShardManifest]
  /// The id dictionaries: `users.offsets`, `users.bytes`, `items.offsets`, `items.bytes`.
  package var identifiers: [String: ColumnManifest]
  /// The identity of the content, see ``computedFingerprint()``.
  package var fingerprint = ""

  /// SHA-256, in hexadecimal digits, of a text with the counts, the rule and the checksums of all
  /// columns; names and places of files do not enter.
  package func computedFingerprint() -> String {
    var lines = [
      "\(format) \(version)", "users \(users)", "items \(items)", "shards \(shardCount)",
      "userStarts \(userStarts)", "itemStarts \(itemStarts)",
      "positiveFrom \(rule.positiveFrom)", "labelFraction \(rule.labelFraction)",
      "thinned \(rule.thinned.rawValue)", "fractions \(rule.fractions ?? [])", "seed \(rule.seed)",
    ]
    if let unrated = rule.unrated { lines.append("unrated \(unrated.rawValue)") }
    if let split = rule.split { lines.append("split \(split.rawValue)") }
    for (index, shard) in shards.enumerated() {
      lines.append(
        "shard \(index) \(shard.trainRows) \(shard.exposureRows) \(shard.metPairs) "
          + "\(shard.validRows) \(shard.testRows)"
          + (shard.sequenceItems.map { " \($0)" } ?? ""))
      lines += Self.lines(shard.columns)
    }
    lines += Self.lines(identifiers)
    return unsafe Array(lines.joined(separator: "\n").utf8).withUnsafeBytes {
      unsafe SHA256.hexadecimal(of: $0)
    }
  }

  private static func lines(_ columns: [String: ColumnManifest]) -> [String] {
    columns.sorted { $0.key < $1.key }.map { "\($0) \($1.bytes) \($1.xxh64)" }
  }
}

/// 16 lower-case digits.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
