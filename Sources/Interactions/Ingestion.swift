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
  /// What leave-one-out holds out; `nil` for other splits.
  private(set) var latest: LatestRows?
  private let options: PreparationOptions
  // What a row asks of the options, looked up once.
  private let needsTimes: Bool
  private let positiveFrom: Double
  private let unratedLabel: LogRow.Label
  private let splitting: Philox
  private let spool: FileWriter
  /// The times of the rows in the spool; `nil` when nothing asks for them.
  private let timeSpool: FileWriter?
  /// Rows on their way to the spool, and their times if there is a spool for these.
  private var pending: [LogRow] = []
  private var pendingTimes: [UInt64] = []

  private static let block = 1 << 12

  /// Reads every log of `options`.
  ///
  /// - Parameters:
  ///   - options: Validated.
  ///   - path: The scratch file; created.
  ///   - times: The scratch file of the rows' times, 8 bytes each; created if `options` ask for an
  ///     order in time.
  /// - Throws: `Failure`: data naming file and line, or `inputOutput`.
  init(
    _ options: PreparationOptions, spool path: String, times: String
  ) throws(Failure) {
    self.options = options
    needsTimes = options.needsTimes
    positiveFrom = options.positiveFrom
    unratedLabel = options.unrated == .positive ? .positive : .none
    splitting = Philox(seed: options.seed, purpose: .split)
    spool = try FileWriter(path: path)
    timeSpool = needsTimes ? try FileWriter(path: times) : nil
    pending.reserveCapacity(Self.block)
    if needsTimes { pendingTimes.reserveCapacity(Self.block) }
    switch options.source {
    case .split(let train, let valid, let test):
      try read(train, as: .train)
      if let valid { try read(valid, as: .valid) }
      try read(test, as: .test)
    case .whole(let interactions, let fractions):
      try read(interactions, fractions: fractions)
    case .leaveOneOut(let interactions):
      latest = LatestRows()
      try read(interactions)
    }
    try flush()
    _ = try spool.close(durable: false)
    _ = try timeSpool?.close(durable: false)
    if let latest {
      let heldOut = latest.heldOutUsers
      labeled = [labeled[0] - 2 * heldOut, heldOut, heldOut]
    }
    try requireLabels()
  }

  private func requireLabels() throws(Failure) {
    for split in Split.allCases where labeled[Int(split.rawValue)] == 0 {
      if split == .valid, !options.hasValid { continue }
      let names = sources.map(\.name).joined(separator: ", ")
      if latest != nil {
        throw .data(
          "\(names): no labeled rows for \(split.name); leave-one-out needs users with at least "
            + "three labeled rows")
      }
      throw .data(
        "\(names): no labeled rows for \(split.name); every split needs at least one row with a "
          + "rating, unless --unrated positive makes rows without one positive")
    }
  }

  /// Reads a log that is one split.
  private mutating func read(_ path: String, as split: Split) throws(Failure) {
    switch options.format {
    case .log: try read(LogScanner.open(path, readsTimes: needsTimes), as: split)
    case .adjacency: try read(AdjacencyScanner.open(path), as: split)
    }
  }

  /// Reads a log that is to be split by a hash of the pairs.
  private mutating func read(_ path: String, fractions: [Double]) throws(Failure) {
    switch options.format {
    case .log:
      try read(LogScanner.open(path, readsTimes: needsTimes), fractions: fractions)
    case .adjacency: try read(AdjacencyScanner.open(path), fractions: fractions)
    }
  }

  /// Reads a log of which the latest rows are to be held out.
  private mutating func read(_ path: String) throws(Failure) {
    switch options.format {
    case .log: try readForLatest(LogScanner.open(path, readsTimes: needsTimes))
    case .adjacency: try readForLatest(AdjacencyScanner.open(path))
    }
  }

  private mutating func read<Rows: RowScanner & ~Copyable>(
    _ scanner: consuming Rows, as split: Split
  ) throws(Failure) {
    var log = scanner
    while try log.next() {
      let (user, item) = try pair(log)
      let label = label(log.rating)
      guard split == .train || label != .none else {
        throw log.failure(
          "a row of \(split.name) has no rating; exposures without reaction belong into train")
      }
      try append(
        LogRow(user: user, item: item, split: split, label: label, line: log.line), log.time)
    }
    try finish(log, split.name)
  }

  private mutating func read<Rows: RowScanner & ~Copyable>(
    _ scanner: consuming Rows, fractions: [Double]
  ) throws(Failure) {
    var log = scanner
    while try log.next() {
      let (user, item) = try pair(log)
      let key = mix64(users.hash(of: user)) &+ items.hash(of: item)
      let uniform = splitting.uniform(row: Int(truncatingIfNeeded: key))
      let split: Split =
        uniform < fractions[0] ? .train : uniform < fractions[0] + fractions[1] ? .valid : .test
      let label = label(log.rating)
      let isExposure = label == .none
      try append(
        LogRow(
          user: user, item: item, split: isExposure ? .train : split, label: label,
          line: log.line, mayBeHeldOut: isExposure && split != .train), log.time)
    }
    try finish(log, "interactions")
  }

  private mutating func readForLatest<Rows: RowScanner & ~Copyable>(
    _ scanner: consuming Rows
  ) throws(Failure) {
    var log = scanner
    while try log.next() {
      let (user, item) = try pair(log)
      let label = label(log.rating)
      if label != .none {
        latest?.note(row: rowCount + pending.count, user: user, item: item, time: log.time)
      }
      try append(
        LogRow(
          user: user, item: item, split: .train, label: label, line: log.line, mayBeHeldOut: true),
        log.time)
    }
    try finish(log, "interactions")
  }

  @inline(__always)
  private func pair<Rows: RowScanner & ~Copyable>(
    _ log: borrowing Rows
  ) throws(Failure) -> (user: Int, item: Int) {
    unsafe (
      try index(of: log.user, in: users, "user", log),
      try index(of: log.item, in: items, "item", log)
    )
  }

  @inline(__always)
  private func index<Rows: RowScanner & ~Copyable>(
    of identifier: UnsafeRawBufferPointer, in builder: IdentifierBuilder, _ kind: String,
    _ log: borrowing Rows
  ) throws(Failure) -> Int {
    do throws(IdentifierFault) {
      return unsafe try builder.index(addingIfNeeded: identifier)
    } catch {
      throw unsafe refusal(of: identifier, error, kind, log)
    }
  }

  private func refusal<Rows: RowScanner & ~Copyable>(
    of identifier: UnsafeRawBufferPointer, _ fault: IdentifierFault, _ kind: String,
    _ log: borrowing Rows
  ) -> Failure {
    log.failure(unsafe "the \(kind) id '\(excerpt(identifier))' \(fault.explanation)")
  }

  @inline(__always)
  private func label(_ rating: Double?) -> LogRow.Label {
    guard let rating else { return unratedLabel }
    return rating >= positiveFrom ? .positive : .negative
  }

  @inline(__always)
  private mutating func append(_ row: LogRow, _ time: UInt64) throws(Failure) {
    if row.isLabeled { labeled[Int(row.split.rawValue)] += 1 }
    pending.append(row)
    if needsTimes { pendingTimes.append(time) }
    if pending.count == Self.block { try flush() }
  }

  private mutating func flush() throws(Failure) {
    rowCount += pending.count
    try Self.write(&pending, to: spool)
    if let timeSpool { try Self.write(&pendingTimes, to: timeSpool) }
  }

  private static func write<Element: BitwiseCopyable>(
    _ elements: inout [Element], to spool: FileWriter
  ) throws(Failure) {
    var failure: Failure?
    unsafe elements.withUnsafeBytes { bytes in
      do throws(Failure) { unsafe try spool.append(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    elements.removeAll(keepingCapacity: true)
  }

  private mutating func finish<Rows: RowScanner & ~Copyable>(
    _ log: borrowing Rows, _ role: String
  ) throws(Failure) {
    guard log.rows > 0 else {
      throw .data("\(log.path): the file holds no rows; expected \(Rows.expectation)")
    }
    sources.append(
      SourceManifest(
        role: role, name: Files.name(of: log.path), bytes: log.bytes, rows: log.rows,
        checksum: log.checksum))
  }
}
