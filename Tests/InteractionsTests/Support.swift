import Foundation
import Interactions
import Storage
import Testing

/// A fresh directory that is removed with its object.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "inverse-interactions-\(UUID().uuidString)"
    try Files.createDirectory(path)
  }

  deinit { try? Files.remove(path) }

  /// Writes a file and returns its path.
  func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }

  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = "\(path)/\(name)"
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  /// Names in the directory, sorted.
  func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }
}

/// A labeled row, or an exposure without reaction (`rating` is `nil`).
struct Row: Hashable {
  var user: String
  var item: String
  var rating: Int?

  init(_ user: String, _ item: String, _ rating: Int?) {
    self.user = user
    self.item = item
    self.rating = rating
  }

  static func text(_ rows: [Row]) -> String {
    rows.map { row in
      "\(row.user)\t\(row.item)" + (row.rating.map { "\t\($0)" } ?? "") + "\n"
    }.joined()
  }
}

/// A log with a fixed, uneven shape: users of very different activity, repeated and contradicting
/// pairs, exposures, and valid and test pairs that train does not know.
struct ToyLog {
  var train: [Row] = []
  var valid: [Row] = []
  var test: [Row] = []

  init(users: Int = 37, items: Int = 53) {
    for user in 0..<users {
      let activity = 2 + 60 / (user + 1)
      for step in 0..<activity {
        let item = (user * 7 + step * step + 3 * step) % items
        // The pair decides the split, so that no pair is in two.
        let rating: Int? = (user + 3 * step) % 4 == 0 ? nil : 1 + (user * 5 + step * 3) % 5
        switch (user * 31 + item * 17) % 10 {
        case 0: valid.append(Row("u\(user)", "i\(item)", rating ?? 2))
        case 1: test.append(Row("u\(user)", "i\(item)", rating ?? 4))
        default: train.append(Row("u\(user)", "i\(item)", rating))
        }
      }
    }
    valid.append(Row("newcomer", "i0", 5))
    test.append(Row("u0", "novelty", 1))
    test.append(Row("u1", "novelty", 5))
  }

  /// Prepares the log under `name` in `directory`.
  func prepare(
    in directory: TemporaryDirectory, as name: String = "dataset", shards: Int = 4,
    labelFraction: Double = 1, thinned: ThinnedRows = .drop, seed: UInt64 = 5
  ) throws -> (report: PreparationReport, dataset: Dataset) {
    let options = PreparationOptions(
      source: .split(
        train: try directory.write(Row.text(train), to: "train.tsv"),
        valid: try directory.write(Row.text(valid), to: "valid.tsv"),
        test: try directory.write(Row.text(test), to: "test.tsv")),
      labelFraction: labelFraction, thinned: thinned, shards: shards, seed: seed)
    let output = "\(directory.path)/\(name)"
    let report = try Preparation.run(options, output: output)
    return (report, try Dataset.open(output))
  }
}

/// A labeled row as a dataset gives it back, with external ids.
struct LabeledRow: Hashable {
  var user: String
  var item: String
  var label: UInt8
}

extension Dataset {
  /// Rows of a split of a shard with external ids.
  func rows(_ columns: LabeledColumns) throws -> [LabeledRow] {
    let (users, items) = (try userIdentifiers(), try itemIdentifiers())
    return (0..<columns.count).map { row in
      unsafe LabeledRow(
        user: users.externalIdentifier(of: Int(columns.users[row])),
        item: items.externalIdentifier(of: Int(columns.items[row])),
        label: columns.labels[row])
    }
  }

  func allShards() throws -> [Shard] {
    try (0..<shardCount).map { try shard($0) }
  }
}

extension Shard {
  /// The last items that a user liked before the rows of a split.
  func context(of user: UInt32, for split: Split, last length: Int) -> [UInt32] {
    var buffer = [UInt32](repeating: 0, count: length)
    let count = unsafe buffer.withUnsafeMutableBufferPointer {
      unsafe copyContext(of: user, for: split, into: $0)
    }
    return Array(buffer.prefix(count))
  }
}

/// The failure that `body` throws.
func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}

/// The folder of real data, if there is one.
let realData = ProcessInfo.processInfo.environment["INVERSE_DATA"]
