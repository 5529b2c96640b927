import Fabric
import Foundation
import Storage
import Training

@testable import Interactions

/// A dataset directory of which parts are changed, opened and trained on.
///
/// Checksums and fingerprint are made to fit again, so what is behind them is reached.
struct DatasetTarget: FuzzTarget {
  private let base: Snapshot
  private let manifest: DatasetManifest
  private let directory: String
  private let run: String

  init(_ sandbox: Sandbox) throws {
    let made = sandbox.file("made")
    base = try Self.make(sandbox, output: made)
    manifest = try Dataset.open(made).manifest
    directory = sandbox.file("dataset")
    run = sandbox.file("run")
  }

  /// A dataset of some rows with everything that a dataset may have.
  static func make(_ sandbox: Sandbox, output: String) throws -> Snapshot {
    var log = ""
    for user in 0..<6 {
      for step in 0..<(4 + user) {
        let rating = (user + step) % 4 == 0 ? "" : "\(1 + (user * 3 + step) % 5)"
        log += "u\(user)\ti\((user * 2 + step) % 9)\t\(rating)\t\(step)\n"
      }
    }
    var options = PreparationOptions(
      source: .leaveOneOut(interactions: try sandbox.write(Array(log.utf8), to: "log")), shards: 2)
    options.keepsSequences = true
    _ = try Preparation.run(options, output: output)
    return try Snapshot(output)
  }

  var seeds: [[UInt8]] {
    let description = base.files[DatasetManifest.fileName] ?? []
    return [[0] + description, [1] + description, [2, 0, 0, 0, 1, 0, 0, 0]]
      + base.names.indices.map { [3, UInt8($0), 0, 0, 7, 0, 0, 0] }
  }

  mutating func run(_ input: Input) throws {
    var input = input
    let choice = input.byte()
    try base.restore(to: directory)
    switch choice % 4 {
    case 0: try write(input.rest, to: DatasetManifest.fileName)
    case 1: try writeFitting(input.rest)
    case 2: try patch(&input)
    default:
      let name = base.names[input.byte() % base.names.count]
      var content = base.files[name] ?? []
      input.patch(&content)
      try write(content, to: name)
      try describe([name: content])
    }
    let dataset = try openReading()
    try train(on: dataset, choice >> 2)
  }

  private func openReading() throws -> Dataset {
    var opened: Dataset?
    try reading {
      let dataset = try Dataset.open(directory)
      try Self.walk(dataset)
      opened = dataset
    }
    guard let opened else { throw SandboxError() }
    return opened
  }

  private func write(_ content: [UInt8], to name: String) throws {
    try Sandbox.write(content, to: "\(directory)/\(name)")
  }

  /// A description whose fingerprint is right, whatever else it says.
  private func writeFitting(_ text: [UInt8]) throws {
    guard var manifest = try? JSONDecoder().decode(DatasetManifest.self, from: Data(text)) else {
      return try write(text, to: DatasetManifest.fileName)
    }
    manifest.fingerprint = manifest.computedFingerprint()
    try write(try manifest.encoded(), to: DatasetManifest.fileName)
  }

  /// Elements of any columns: records of a file, a kind, an element and a value.
  private func patch(_ input: inout Input) throws {
    var changed: [String: [UInt8]] = [:]
    while !input.isEmpty {
      let name = base.names[input.byte() % base.names.count]
      var content = changed[name] ?? base.files[name] ?? []
      let place = input.byte() * 4
      let value = input.number(bytes: 4)
      for offset in 0..<4 where place + offset < content.count {
        content[place + offset] = UInt8(truncatingIfNeeded: value >> (8 * offset))
      }
      changed[name] = content
    }
    for (name, content) in changed { try write(content, to: name) }
    try describe(changed)
  }

  /// Makes the checksums those of what was written.
  private func describe(_ changed: [String: [UInt8]]) throws {
    var manifest = manifest
    for (name, content) in changed where name != DatasetManifest.fileName {
      let parts = name.split(separator: "/").map(String.init)
      guard let file = parts.last else { continue }
      let checksum = unsafe content.withUnsafeBytes { unsafe XXHash64.hash($0) }
      let column = ColumnManifest(bytes: content.count, checksum: checksum)
      if parts.first == DatasetLayout.identifiers {
        manifest.identifiers[file] = column
      } else if let shard = Int(parts[1]) {
        manifest.shards[shard].columns[file] = column
      }
    }
    guard changed[DatasetManifest.fileName] == nil else { return }
    manifest.fingerprint = manifest.computedFingerprint()
    try write(try manifest.encoded(), to: DatasetManifest.fileName)
  }

  private func train(on dataset: Dataset, _ choice: Int) throws {
    try Files.remove(run)
    _ = try BriefRun.train(choice, on: dataset, into: RunDirectory(run))
  }

  /// Reads all of a dataset through the interfaces that training uses.
  static func walk(_ dataset: Dataset) throws {
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    for index in 0..<dataset.users {
      _ = users.index(of: users.externalIdentifier(of: index))
    }
    _ = items.index(of: "nobody")
    for index in 0..<dataset.items { _ = items.externalIdentifier(of: index) }
    for index in 0..<dataset.shardCount {
      let shard = try dataset.shard(index)
      for user in shard.users {
        let local = shard.local(UInt32(user))
        _ = unsafe shard.exposures[local].reduce(0) { $0 &+ Int($1) }
        _ = unsafe shard.met[local].reduce(0) { $0 &+ Int($1) }
      }
      guard shard.sequences != nil else { continue }
      for row in 0..<shard.train.count {
        _ = unsafe shard.context(ofTrainRow: row).reduce(0) { $0 &+ Int($1) }
      }
    }
  }
}
