import Foundation
import Randomness
import Storage

/// The first pass over the logs: text in, rows of 16 bytes in a scratch file out.
///
/// - Complexity: O(rows) time; memory grows with the ids, not with the rows.
struct Ingestion {
  private(set) var users = IdentifierBuilder()
  private(set) var items = IdentifierBuilder()
  private(set) var sources: [SourceManifest] = []
  /// Rows in all, and labeled rows of each split.
  private(set) var rowCount = 0
  private(set) var labeled = [0, 0, 0]
  private let options: PreparationOptions
  private let splitting: Philox
  private let spool: FileWriter
  /// Rows on their way to the spool.
  private var pending: [LogRow] = []

  private static let block = 1 << 12

  /// Reads every log of `options`.
  ///
  /// - Parameters:
  ///   - options: Validated.
  ///   - path: The scratch file; created.
  /// - Throws: `Failure`: data naming file and line, or `inputOutput`.
  init(_ options: PreparationOptions, spool path: String) throws(Failure) {
    self.options = options
    splitting = Philox(seed: options.seed, purpose: .split)
    spool = try FileWriter(path: path)
    pending.reserveCapacity(Self.block)
    switch options.source {
    case .split(let train, let valid, let test):
      try read(train, as: .train)
      try read(valid, as: .valid)
      try read(test, as: .test)
    case .whole(let interactions, let fractions):
      try read(interactions, fractions: fractions)
    }
    try flush()
    _ = try spool.close(durable: false)
    for split in Split.allCases where labeled[Int(split.rawValue)] == 0 {
      throw .data(
        "\(sources.map(\.name).joined(separator: ", ")): no labeled rows for \(split.name); "
          + "every split needs at least one row with a rating")
    }
  }

  /// Reads a log that is one split.
  private mutating func read(_ path: String, as split: Split) throws(Failure) {
    var log = try LogScanner.open(path)
    while try log.next() {
      let (user, item) = try pair(log)
      guard split == .train || log.rating != nil else {
        throw log.failure(
          "a row of \(split.name) has no rating; exposures without reaction belong into train")
      }
      try append(
        LogRow(user: user, item: item, split: split, label: label(log.rating), line: log.line))
    }
    try finish(log, split.name)
  }

  /// Reads a log that is to be split.
  private mutating func read(_ path: String, fractions: [Double]) throws(Failure) {
    var log = try LogScanner.open(path)
    while try log.next() {
      let (user, item) = try pair(log)
      let key = mix64(users.hash(of: user)) &+ items.hash(of: item)
      let uniform = splitting.uniform(row: Int(truncatingIfNeeded: key))
      let split: Split =
        uniform < fractions[0] ? .train : uniform < fractions[0] + fractions[1] ? .valid : .test
      let isExposure = log.rating == nil
      try append(
        LogRow(
          user: user, item: item, split: isExposure ? .train : split, label: label(log.rating),
          line: log.line, mayBeHeldOut: isExposure && split != .train))
    }
    try finish(log, "interactions")
  }

  @inline(__always)
  private func pair(_ log: borrowing LogScanner) throws(Failure) -> (user: Int, item: Int) {
    unsafe (
      try index(of: log.user, in: users, "user", log),
      try index(of: log.item, in: items, "item", log)
    )
  }

  @inline(__always)
  private func index(
    of identifier: UnsafeRawBufferPointer, in builder: IdentifierBuilder, _ kind: String,
    _ log: borrowing LogScanner
  ) throws(Failure) -> Int {
    do throws(IdentifierFault) {
      return unsafe try builder.index(addingIfNeeded: identifier)
    } catch {
      throw unsafe refusal(of: identifier, error, kind, log)
    }
  }

  private func refusal(
    of identifier: UnsafeRawBufferPointer, _ fault: IdentifierFault, _ kind: String,
    _ log: borrowing LogScanner
  ) -> Failure {
    log.failure(unsafe "the \(kind) id '\(excerpt(identifier))' \(fault.explanation)")
  }

  @inline(__always)
  private func label(_ rating: Double?) -> LogRow.Label {
    guard let rating else { return .none }
    return rating >= options.positiveFrom ? .positive : .negative
  }

  @inline(__always)
  private mutating func append(_ row: LogRow) throws(Failure) {
    if row.isLabeled { labeled[Int(row.split.rawValue)] += 1 }
    pending.append(row)
    if pending.count == Self.block { try flush() }
  }

  private mutating func flush() throws(Failure) {
    rowCount += pending.count
    var failure: Failure?
    unsafe pending.withUnsafeBytes { bytes in
      do throws(Failure) { unsafe try spool.append(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    pending.removeAll(keepingCapacity: true)
  }

  private mutating func finish(_ log: borrowing LogScanner, _ role: String) throws(Failure) {
    guard log.rows > 0 else {
      throw .data("\(log.path): the file holds no rows; expected user, item, rating")
    }
    sources.append(
      SourceManifest(
        role: role, name: Files.name(of: log.path), bytes: log.bytes, rows: log.rows,
        checksum: log.checksum))
  }
}
