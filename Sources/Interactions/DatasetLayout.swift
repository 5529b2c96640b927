import Foundation

/// Where the files of a dataset stand, relative to its directory.
enum DatasetLayout {
  /// The folder of a shard: `shards/0007`.
  static func shard(_ index: Int) -> String {
    let digits = String(index)
    return "shards/" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  /// A column of a shard.
  static func column(_ column: Column, shard index: Int) -> String {
    "\(shard(index))/\(column.rawValue)"
  }

  /// The folder of the id dictionaries.
  static let identifiers = "identifiers"
}
